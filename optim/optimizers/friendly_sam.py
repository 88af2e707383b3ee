"""SAM along what the gradient has of the minibatch's own."""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..moving_average import MovingAverageOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["FriendlySAM"]

_ROUNDING = 4  # times the type's spacing: a shorter difference, relative to the gradient, is what rounding has left


@final
class FriendlySAM(MovingAverageOptimizer):
    """``x+ = base step with grad f_m(x + rho d / |d|)``, ``d = g - sigma m`` (Li et al., CVPR 2024, Algorithm 1).

    ``m`` estimates the full gradient, which does not help SAM to generalise; what is left is the minibatch's noise. As
    in the released code (nblt/F-SAM) ``m`` is the average before this step, ``m = lambda m + (1 - lambda) g`` after it,
    and begins with the first gradient, so the first step is SAM's. To subtract the average that contains ``g`` already
    gives another length of ``d`` and ``sigma lambda / (1 - sigma (1 - lambda))`` in place of ``sigma``: for
    ``sigma = 1`` the same direction.

    Where ``g`` and ``sigma m`` are equal up to rounding, as for a loss that is linear, there is no direction and
    nothing is perturbed.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        sigma: how much of the average is taken away, at least 0 (released code: 1); 0 is SAM.
        decay: ``lambda``, the weight of the past in the average, in [0, 1) (released code: 0.9, and 0.6 in its example
            for CIFAR-100).
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; ``sigma < 0``; ``decay`` outside of [0, 1).

    Example:
        >>> import torch
        >>> from eigensam.optim import FriendlySAM
        >>> x = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = FriendlySAM([x], rho=0.5, sigma=1.0, decay=0.5, lr=0.1)
        >>> loss = optimizer.step(lambda: x[0])  # gradient (1, 0)
        >>> optimizer.perturbation(torch.tensor([1.0, 2.0])).tolist()
        [0.0, 1.0]
        >>> loss = optimizer.step(lambda: x[0] + 2 * x[1])
        >>> optimizer.state[x]["average"].tolist()
        [1.0, 1.0]
    """

    kept_settings = ("sigma", "decay")
    kept_tensors = ("average",)
    average_name = "average"

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        sigma: float = 1.0,
        decay: float = 0.9,
        **options: Any,
    ) -> None:
        if not 0 <= sigma < math.inf:
            raise InputError(f"sigma = {sigma} is negative or not finite; give sigma >= 0 (released code: 1), 0 is SAM")
        if not 0 <= decay < 1:
            raise InputError(f"decay = {decay} is not a weight of the past; give one in [0, 1) (released code: 0.9)")
        super().__init__(params, base, rho=rho, **options)
        self.sigma, self.decay = float(sigma), float(decay)

    @property
    def newest(self) -> float:
        """``1 - lambda``."""
        return 1 - self.decay

    def ascent(self, g: Vector) -> Vector:
        """``d / |d|``; zero where ``d`` is."""
        m, known = self.average()
        if self.sigma == 0 or not any(known):
            return unit_(g)
        least = _ROUNDING * max((torch.finfo(part.dtype).eps for part in g.parts), default=0.0) * g.norm()
        d = g.add_(m, -self.sigma) if all(known) else g.add_(m, [-self.sigma if old else 0.0 for old in known])
        return unit_(d) if d.norm() > least else d.mul_(0.0)
