"""Surrogate-gap guided SAM."""

import math
from collections.abc import Iterable
from typing import Any, final

from torch import Tensor
from torch.optim import SGD, Optimizer

from ...ground.errors import InputError
from ..two_pass import TwoPassOptimizer
from ..vector import Vector
from .sam import unit_

__all__ = ["GSAM"]


@final
class GSAM(TwoPassOptimizer):
    """Base step along ``g_p - alpha g_perp``, ``g_p = grad f_m(x + rho g / |g|)`` (Zhuang et al. 2022, Algorithm 1).

    ``g_perp = g - <g, g_p> g_p / |g_p|^2`` is the part of the plain gradient across the perturbed one: to climb along
    it narrows the gap ``f(x + rho g / |g|) - f(x)`` and does not change the perturbed loss to first order. It is of the
    parameters that are perturbed.

    There ``rho`` falls with the learning rate: :class:`LearningRateSchedule`.

    Args:
        params: parameters or parameter groups; every group may have its own ``rho`` and ``alpha``.
        base: class of the optimizer that takes the step; default SGD.
        rho: perturbation radius, at least 0.
        alpha: weight of the ascent, at least 0 (released code: 0.4); 0 is SAM.
        **options: those of every method (:class:`SharpnessAwareOptimizer`), and of ``base``, e.g. ``lr=0.1``.

    Raises:
        InputError: ``rho < 0``; ``alpha < 0``.

    Example:
        >>> import torch
        >>> from eigensam.optim import GSAM
        >>> x = torch.nn.Parameter(torch.tensor([1.0, 0.1], dtype=torch.float64))
        >>> optimizer = GSAM([x], rho=0.1, alpha=0.4, lr=0.01)
        >>> loss = optimizer.step(lambda: 0.5 * (x[0] ** 2 + 9 * x[1] ** 2))
        >>> [round(each, 4) for each in x.tolist()]
        [0.9902, 0.0843]
    """

    ascent_may_be_local = False

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        base: type[Optimizer] = SGD,
        *,
        rho: float = 0.05,
        alpha: float = 0.4,
        **options: Any,
    ) -> None:
        super().__init__(params, base, rho=rho, groups={"alpha": alpha}, **options)
        self._plain: Vector | None = None

    def check_group(self, group: dict[str, Any]) -> None:
        """Also ``alpha``."""
        super().check_group(group)
        if not 0 <= group["alpha"] < math.inf:
            raise InputError(
                f"alpha = {group['alpha']} is negative or not finite; give alpha >= 0 (released code: 0.4)"
            )

    def ascent(self, g: Vector) -> Vector:
        """``g / |g|``; zero where ``g`` is zero."""
        return unit_(g)

    def forget(self) -> None:
        """The gradient of a step that was not taken."""
        self._plain = None

    def remember(self, g: Vector) -> None:
        """The plain gradient, for the second half of this step."""
        self._plain = g.clone()

    def combined(self, second: Vector) -> Vector | None:
        """``g_p - alpha (g - c g_p)``, ``c = <g, g_p> / |g_p|^2``."""
        g, self._plain = self._plain, None
        if g is None:
            return None
        moving = second.select(self.perturbed())
        norm = moving.norm()
        share = g.dot(moving) / norm / norm if norm > 0 else 0.0
        alphas = [float(alpha) for alpha in self.of_moving("alpha")]
        moving.mul_([1 + alpha * share for alpha in alphas]).add_(g, [-alpha for alpha in alphas])
        return second
