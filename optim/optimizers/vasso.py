"""SAM along a moving average of gradients."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..two_pass import TwoPassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["VaSSO"]

_PER_PART = "direction"


@final
class VaSSO(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x + rho d / |d|)``, ``d = (1 - theta) d + theta g`` (Li & Giannakis 2023).

    The average suppresses the minibatch's noise in the perturbation. It starts with the first gradient, as in the
    released code, for each parameter on its own. A step that is not taken does not change it.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        theta: weight of the newest gradient in (0, 1] (released code: 0.9); 1 is SAM.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; ``theta`` outside of (0, 1].

    Example:
        >>> import torch
        >>> from eigensam.optim import VaSSO
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = VaSSO([x], rho=0.1, theta=0.5, lr=0.1)
        >>> _ = [optimizer.step(lambda i=i: x[i]) for i in (0, 1)]  # gradients (1, 0), (0, 1)
        >>> optimizer.state[x]["direction"].tolist()
        [0.5, 0.5]
    """

    kept_settings = ("theta",)
    kept_numbers = ("started",)
    kept_tensors = (_PER_PART,)
    ascent_may_be_local = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        theta: float = 0.9,
        **options: Any,
    ) -> None:
        if not 0 < theta <= 1:
            raise InputError(f"theta = {theta} is not a weight; give one in (0, 1], such as 0.9; 1 is SAM")
        super().__init__(params, base, rho=rho, **options)
        self.theta = float(theta)
        self.started = False  # whether there is an average
        self._next: Vector | None = None  # what the average becomes if this step is taken

    def _averaged(self, g: Vector) -> Vector:
        """``(1 - theta) d + theta g`` in place."""
        parameters = self.moving()
        # Entries that a checkpoint of processes is to be read into are no average yet.
        known = [self.started and _PER_PART in self.state.get(p, {}) for p in parameters]
        if not any(known):
            return g
        d = Vector(self.state[p][_PER_PART] if old else p for p, old in zip(parameters, known, strict=True))
        if all(known):
            return g.mul_(self.theta).add_(d, 1 - self.theta)
        newest = [self.theta if old else 1.0 for old in known]
        return g.mul_(newest).add_(d, [1 - weight for weight in newest])

    def ascent(self, g: Vector) -> Vector:
        """``d / |d|`` with the average that this gradient would make."""
        return unit_(self._averaged(g))

    def forget(self) -> None:
        """The average of a step that was not taken."""
        self._next = None

    def remember(self, g: Vector) -> None:
        """The average that this step makes."""
        self._next = self._averaged(g.clone())

    @torch.no_grad()
    def finish(self) -> None:
        """Keep it."""
        if self._next is None:
            return
        parameters = self.moving()
        for p in parameters:
            if _PER_PART not in self.state[p]:
                self.state[p][_PER_PART] = torch.zeros_like(p)
        Vector(self.state[p][_PER_PART] for p in parameters).copy_(self._next)
        self._next, self.started = None, True
