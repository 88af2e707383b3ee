"""SAM whose perturbation has nothing to do with the gradient: a control."""

from collections.abc import Iterable
from typing import Any, final

from torch import Tensor
from torch.optim import SGD, Optimizer

from ..noise import gaussian, generator_of
from ..one_pass import OnePassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["RandomSAM"]


@final
class RandomSAM(OnePassOptimizer):
    """``x+ = base step with grad f_m(x + rho z / |z|)``, ``z`` Gaussian and new in every step.

    The control of the question whether it is the gradient's direction that makes SAM what it is. There is one pass, at
    the perturbed point, where running statistics move, too, and :meth:`step` returns the loss of that point. A step
    costs no more than a plain one, but for the numbers, which are drawn on the CPU so that they are the same on every
    device and worker, and depend on nothing but the seed and the number of steps taken.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        gaussian: perturb by ``rho z`` instead, which is about ``rho sqrt(d)`` long for ``d`` parameters.
        seed: of the perturbations.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Attributes:
        steps: taken so far.

    Raises:
        InputError: ``rho < 0``; gradients that were made at the unperturbed point.

    Example:
        >>> import torch
        >>> from eigensam.optim import RandomSAM
        >>> x = torch.nn.Parameter(torch.zeros(3))
        >>> optimizer = RandomSAM([x], rho=0.5, lr=0.5)
        >>> loss = optimizer.step(lambda: (x ** 2).sum())
        >>> round(loss.item(), 6), round(x.norm().item(), 6)
        (0.25, 0.5)
    """

    kept_settings = ("gaussian", "seed")
    kept_numbers = ("steps",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        gaussian: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(params, base, rho=rho, **options)
        self.gaussian, self.seed, self.steps = bool(gaussian), int(seed), 0

    def _noise(self) -> Vector:
        """Of the coming step, over the perturbed parameters."""
        return gaussian(self.moving(), generator_of(f"random perturbation {self.seed} {self.steps}"))

    def direction(self) -> Vector:
        """``z / |z|``, or ``z``."""
        z = self._noise()
        return z if self.gaussian else unit_(z)

    def finish(self) -> None:
        """Count the step."""
        self.steps += 1
