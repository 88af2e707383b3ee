"""Fisher SAM: the neighbourhood is an ellipsoid of the Fisher metric."""

import math
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..two_pass import TwoPassOptimizer
from ..vector import Vector
from .asam import ellipsoid_ascent_

__all__ = ["FisherSAM"]


@final
class FisherSAM(TwoPassOptimizer):
    """``x+ = base step with grad f_m(x + rho u)``, ``u = F^-1 g / sqrt(g^T F^-1 g)`` (Kim et al. 2022).

    ``F`` is diagonal: the squared minibatch gradient is the estimate of the Fisher information, and
    ``F^-1 = 1 / (1 + eta g^2)`` elementwise.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho``.
        base: class of the optimizer that takes the step; default SGD.
        rho: radius in the metric, at least 0 (gamma in that paper).
        eta: weight of the Fisher information in the metric, at least 0; 0 is SAM.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; ``eta < 0``.

    Example:
        >>> import torch
        >>> from eigensam.optim import FisherSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = FisherSAM([x], rho=0.1, eta=1.0, lr=1.0)
        >>> optimizer.perturbation(torch.tensor([1.0, 7.0])).mul(100).round().tolist()  # 1/2, 7/50, over sqrt(74/50)
        [41.0, 12.0]
    """

    kept_settings = ("eta",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.1,
        eta: float = 1.0,
        **options: Any,
    ) -> None:
        if not 0 <= eta < math.inf:
            raise InputError(f"eta = {eta} is negative or not finite; give eta >= 0, where 0 is SAM")
        super().__init__(params, base, rho=rho, **options)
        self.eta = float(eta)

    def ascent(self, g: Vector) -> Vector:
        """``F^-1 g / sqrt(g^T F^-1 g)``; zero where ``g`` is zero."""
        root = math.sqrt(self.eta)
        # Squares would leave the range of float32 numbers, and hypot does not.
        lengths = (part * root for part in g.in_wide_range().parts)
        axes = g.like(torch.hypot(each, each.new_ones(())).reciprocal_() for each in lengths)
        return ellipsoid_ascent_(g, axes)
