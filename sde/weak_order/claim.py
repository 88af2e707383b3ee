"""What is verified, checked once for every method."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..derivation.derived_sde import SDE
from ..rules.bindings import Values, bind
from ..simulation.horizons import whole_steps

__all__ = [
    "ETAS",
    "TOLERANCE",
    "VISIBLE",
    "Claim",
    "Progress",
    "TestFunctions",
    "step_count",
    "visible_etas",
]

ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(4, 17, 2))
"""Step sizes ``2^-4 .. 2^-16`` (ours: at ``2^-9`` two terms of other orders may still cancel)."""

TOLERANCE = 0.05
"""Ours, times the order where that exceeds 1: far below half of 1/3, the gap between orders (theory, section 3)."""

VISIBLE = 0.1
"""Ours: the largest relative mistake in a coefficient that the order needs which a pass may leave unseen."""

_MOST_STEPS = 1_000_000
_OTHER = 1.25  # times c: its square changes by half, and the step sizes are small enough for both
_SMALLEST_RHO, _LARGEST_RHO = 1e-6, 1e3  # below, differences of gradients drown in rounding; above, nothing is small

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

TestFunctions = Callable[[Tensor], Tensor]
"""Maps points of shape ``(N, d)`` to the values of K functions, shape ``(N, K)``."""


@dataclass(frozen=True)
class Claim:
    """An SDE, the landscape and the law ``rho = rho_scale * eta^beta`` on which it is compared with its rule.

    Attributes:
        sde: from :func:`derive` or :func:`truncate`; it has ``beta``.
        landscape: where.
        etas: at least two step sizes, decreasing.
        rho_scale: ``c > 0``.
        values: of the rule's parameters and frozen directions.
        expected: the slope to be confirmed.
        tolerance: largest accepted distance between the last slope and ``expected``.
        visible: the largest relative mistake in a needed coefficient that may go unseen.
        local: whether the slope is that of one step, 1 more than the order.
    """

    sde: SDE
    landscape: Landscape
    etas: tuple[float, ...]
    rho_scale: float
    values: Values | None
    expected: float
    tolerance: float
    visible: float = VISIBLE
    local: bool = False

    @property
    def order(self) -> float:
        """The global one."""
        return self.expected - self.local

    @classmethod
    def checked(
        cls,
        sde: SDE,
        landscape: Landscape,
        etas: Sequence[float],
        rho_scale: float,
        values: Values | None,
        expected: float | None,
        *,
        smallest_rho: float = _SMALLEST_RHO,
    ) -> Self:
        """Check a claim and make it.

        Raises:
            InputError: another type than an SDE; a scale that is not positive; step sizes that do not decrease; a
                perturbation too small to be seen; a symbol of the rule without a value.
        """
        if not isinstance(sde, SDE):
            raise InputError(f"found {type(sde).__name__}; expected an SDE: derive(rule, weak_order, rho_exponent)")
        if not isinstance(landscape, Landscape):
            raise InputError(f"found {type(landscape).__name__}; expected a landscape, e.g. TiltedTorus.default(2)")
        beta, rho_scale = float(sde.rho_exponent), float(rho_scale)
        etas = [float(eta) for eta in etas]
        if not (rho_scale > 0 and math.isfinite(rho_scale)):
            raise InputError(f"rho scale {rho_scale} is not positive; the perturbation radius rho must be > 0")
        if len(etas) < 2 or any(not a > b for a, b in itertools.pairwise(etas)):
            raise InputError(f"step sizes {etas} must be at least two and decreasing; give e.g. 1/8,1/16,1/32")
        if not (etas[-1] > 0 and math.isfinite(etas[0])):
            raise InputError(f"step sizes {etas} must be positive and finite; give e.g. 1/8,1/16,1/32")
        try:
            largest, smallest = (rho_scale * math.pow(eta, beta) for eta in (etas[0], etas[-1]))
        except OverflowError:
            largest, smallest = math.inf, math.nan
        if not smallest_rho <= smallest <= largest <= _LARGEST_RHO:
            raise InputError(
                f"rho = {rho_scale:g} eta^{beta:g} runs from {largest:.3g} to {smallest:.3g}; the perturbation radius "
                f"rho must stay within [{smallest_rho:g}, {_LARGEST_RHO:g}] to be seen"
            )
        bind(sde.rule, landscape, rho_scale, values)
        if expected is not None and not math.isfinite(expected):
            raise InputError(f"expected order {expected} is not a number; give e.g. 1")
        if expected is not None and not 0 < expected <= 2:
            raise InputError(
                f"expected order {expected:g} is no claim: an SDE that does not converge has order 0, and none driven "
                "by Brownian motion exceeds 2; give e.g. 1"
            )
        slope = float(sde.weak_order if expected is None else expected)
        return cls(sde, landscape, tuple(etas), rho_scale, values, slope, TOLERANCE * max(1.0, slope))

    def of_one_step(self) -> "Claim":
        """About the local error, whose slope is 1 larger."""
        slope = self.expected + 1
        return replace(self, expected=slope, tolerance=TOLERANCE * max(1.0, slope), local=True)

    def rho(self, eta: float) -> float:
        """The law's radius at a step size."""
        return self.rho_scale * math.pow(eta, float(self.sde.rho_exponent))

    def upto(self, count: int) -> "Claim":
        """With the first step sizes alone."""
        return replace(self, etas=self.etas[:count])

    def at_another_scale(self) -> "Claim | None":
        """The same at 1.25 ``c``, on the smallest step sizes; None for a rule without ``rho``.

        The claim is about every ``c``: coefficients that are right at one alone, ``rho^2`` written as a number times
        ``eta``, are not. Another ``c`` puts the remainder's terms in other proportions, so the tolerance is half as
        large again, still below half of 1/3.
        """
        if not self.sde.rule.perturbed:
            return None
        return replace(self, rho_scale=_OTHER * self.rho_scale, etas=self.etas[-3:], tolerance=1.5 * self.tolerance)


def visible_etas(sde: SDE, etas: Sequence[float], rho_scale: float) -> Sequence[float]:
    """Those step sizes, from the largest on, whose ``rho`` is not too small; all where too few are left to say so."""
    if not isinstance(sde, SDE) or not rho_scale > 0:
        return etas
    kept = [eta for eta in etas if rho_scale * math.pow(eta, float(sde.rho_exponent)) >= _SMALLEST_RHO]
    return kept if len(kept) > 2 else etas


def step_count(horizon: float, eta: float) -> int:
    """``N = T / eta``, refused unless it is a whole number of steps.

    Example:
        >>> step_count(1.0, 0.125)
        8
    """
    steps = whole_steps(horizon, eta, horizon_name="T", dt_name="eta")
    if steps > _MOST_STEPS:
        raise InputError(f"T/eta = {steps} steps are too many; give at most {_MOST_STEPS}")
    return steps
