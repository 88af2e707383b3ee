"""Methods that know where to look before they have seen the gradient: one pass, at the perturbed point."""

from abc import abstractmethod

import torch
from torch import Tensor

from ..ground.errors import InputError
from .passes import Passes
from .sharpness_aware import SharpnessAwareOptimizer
from .vector import Vector

__all__ = ["OnePassOptimizer"]


class OnePassOptimizer(SharpnessAwareOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, where the method knows ``u`` beforehand.

    A step costs no more than one of the base. Running statistics move at the perturbed point, whose loss
    :meth:`step` returns.
    """

    ascent_may_be_local = False

    @abstractmethod
    def direction(self) -> Vector | None:
        """``u`` over perturbed parameters, which may be changed in place; None if there is none yet."""

    @torch.no_grad()
    def perturbation(self, g: Tensor) -> Tensor:
        """``u`` of the coming step, for the diagnostics of :mod:`eigensam.landscapes`; NaN where there is none yet.

        Args:
            g: gradients over all parameters in one piece, shape ``(..., d)``; ``u`` has that shape, and depends on
                nothing else of them.

        Raises:
            InputError: gradients of another shape.
        """
        whole = Vector(self.parameters())
        dim = sum(part.numel() for part in whole.parts)
        if g.shape[-1:] != (dim,):
            raise InputError(f"gradients have shape {tuple(g.shape)}; expected (..., {dim})")
        found = self.direction()
        if found is None:
            return torch.full_like(g, torch.nan)
        u = torch.zeros_like(g[(0,) * (g.ndim - 1)])
        whole.views(u).select(self.perturbed()).copy_(found)
        return u.expand_as(g).clone()

    def make_gradient(self, passes: Passes) -> Tensor:
        """One pass."""
        name = type(self).__name__
        if passes.given:
            raise InputError(
                f"{name} needs gradients at the perturbed point only, but .grad holds some that were made before "
                "step; call zero_grad() first and leave backward to the closure"
            )
        if not any(self.perturbed()):
            return passes.gradient()[0]
        with torch.no_grad():
            u = self.direction()
            shift = None if u is None else self.shift(u)
        if shift is None:
            return passes.gradient()[0]
        with self.shifted(shift):
            return passes.gradient()[0]
