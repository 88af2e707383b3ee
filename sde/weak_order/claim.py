"""What is verified, checked once for every method, and what a verification found."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from torch import Tensor

from ...landscapes import InputError, Landscape
from ..symbolic.bindings import Values, bind
from ..symbolic.derivation import SDE

__all__ = [
    "ETAS",
    "TOLERANCE",
    "Claim",
    "Method",
    "Progress",
    "TestFunctions",
    "Verdict",
    "WeakOrder",
    "observed_slopes",
    "step_count",
]

ETAS: tuple[float, ...] = tuple(2.0**-k for k in range(3, 10))
"""Step sizes ``2^-3 .. 2^-9`` (ours: enough halvings for the slope to settle)."""

TOLERANCE = 0.05
"""Ours, times the order where that exceeds 1: far below half of 1/3, the gap between orders (theory, section 3)."""

_MOST_STEPS = 1_000_000
_SMALLEST_RHO, _LARGEST_RHO = 1e-6, 1e3  # below, differences of gradients drown in rounding; above, nothing is small

_APPROACHING = 0.03  # a power of eta: distances that fall by less than 2 % per halving are taken for constant

Verdict = Literal["pass", "fail", "inconclusive"]
Method = Literal["torus", "one-step", "moments", "monte-carlo"]
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
    """

    sde: SDE
    landscape: Landscape
    etas: tuple[float, ...]
    rho_scale: float
    values: Values | None
    expected: float
    tolerance: float

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
        local: bool = False,
    ) -> Self:
        """A claim that makes sense; ``local`` expects the slope of one step, which is 1 larger.

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
        expected = float(sde.weak_order if expected is None else expected) + local
        if not math.isfinite(expected):
            raise InputError(f"expected order {expected} is not a number; give e.g. 1")
        return cls(sde, landscape, tuple(etas), rho_scale, values, expected, TOLERANCE * max(1.0, expected))

    def rho(self, eta: float) -> float:
        """The law's radius at a step size."""
        return self.rho_scale * math.pow(eta, float(self.sde.rho_exponent))

    def found(
        self, method: Method, errors: Sequence[float], doubt: str = "", *, last: int = -1, **details: Any
    ) -> "WeakOrder":
        """The result: without doubt it passes or fails by the last slope.

        Args:
            method: how it was measured.
            errors: one per step size.
            doubt: why nothing can be concluded; empty if something can.
            last: index of the smallest step size whose error is known well enough; the slope is the one that ends
                there, and 0 has none.
            details: what else the method reports.
        """
        slopes = observed_slopes(self.etas, errors)
        last %= len(self.etas)
        slope = slopes[last - 1] if last else math.nan
        passed = abs(slope - self.expected) <= self.tolerance
        doubt = doubt or self._unsettled(slopes[:last], passed)
        return WeakOrder(
            method=method,
            rule=self.sde.rule.name,
            drift=sorted(self.sde.increments),
            correction=sorted(self.sde.correction),
            covariance=sorted(self.sde.diffusion),
            rho_exponent=float(self.sde.rho_exponent),
            rho_scale=self.rho_scale,
            etas=list(self.etas),
            errors=list(errors),
            slopes=slopes,
            slope=slope,
            expected=self.expected,
            tolerance=self.tolerance,
            verdict="inconclusive" if doubt else "pass" if passed else "fail",
            reason=doubt or f"slope {slope:.3f}, expected {self.expected:.3f} +- {self.tolerance:.3g}",
            details=details,
        )

    def _unsettled(self, slopes: list[float], passed: bool) -> str:
        """Why the last slope does not decide, if so.

        A slope that passes must not be on its way through the claim. One that does not may still approach it: the
        distance of a right claim's slope falls like a power of ``eta``, the gap to the next exponent, which may be
        small; that of a wrong one's tends to a constant. An error that falls faster than claimed contradicts nothing.
        """
        if not slopes or not math.isfinite(slopes[-1]):
            return "there is no slope: an error is 0 or not finite"
        moved = f"from {slopes[-2]:.3f} to {slopes[-1]:.3f}" if len(slopes) > 1 else ""
        if passed:
            if len(slopes) > 1 and not abs(slopes[-1] - slopes[-2]) <= self.tolerance:
                return f"the slope {slopes[-1]:.3f} has not settled: it moved {moved}; use smaller step sizes"
            return ""
        if len(slopes) < 2:
            return f"slope {slopes[0]:.3f}: one alone does not show whether it has settled, give more step sizes"
        before, last = (abs(slope - self.expected) for slope in slopes[-2:])
        if last < (self.etas[len(slopes)] / self.etas[len(slopes) - 1]) ** _APPROACHING * before:
            return (
                f"the slope still moves towards {self.expected:.3f}, {moved}: the step sizes are too large to tell, "
                "use smaller ones"
            )
        if slopes[-1] > self.expected:
            return (
                f"slope {slopes[-1]:.3f}, better than the expected {self.expected:.3f} +- {self.tolerance:.3g}: the "
                "term of that order is not seen here, its coefficient vanishes or rho scale is too small"
            )
        return ""


@dataclass(frozen=True)
class WeakOrder:
    """What a verification found.

    Attributes:
        method: ``torus``, ``one-step``, ``moments`` or ``monte-carlo``.
        rule: name of the update rule.
        drift: powers of ``rho`` that the drift keeps.
        correction: powers of ``rho`` that the correction ``b_1`` keeps.
        covariance: powers of ``rho`` that the increment in the covariance keeps.
        rho_exponent: ``beta`` of ``rho = rho_scale * eta^beta``.
        rho_scale: the constant ``c`` of that law.
        etas: step sizes, decreasing.
        errors: weak error at each step size (of one step for ``one-step``).
        slopes: ``log(e_i / e_{i+1}) / log(eta_i / eta_{i+1})``.
        slope: the measured one: the last, for ``monte-carlo`` the last that noise leaves.
        expected: the order that the derivation proves, or the claim under test; 1 more for ``one-step``.
        tolerance: largest accepted distance between ``slope`` and ``expected``.
        verdict: ``pass``, ``fail``, or ``inconclusive`` where the measurement cannot tell.
        reason: the numbers behind the verdict.
        details: what the method adds, see its function.
    """

    method: Method
    rule: str
    drift: list[int]
    correction: list[int]
    covariance: list[int]
    rho_exponent: float
    rho_scale: float
    etas: list[float]
    errors: list[float]
    slopes: list[float]
    slope: float
    expected: float
    tolerance: float
    verdict: Verdict
    reason: str
    details: dict[str, Any]

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary, the details among the rest."""
        result = asdict(self)
        details: dict[str, object] = result.pop("details")
        return result | details


def observed_slopes(etas: Sequence[float], errors: Sequence[float]) -> list[float]:
    """Slopes between neighbouring points in the log-log plane; NaN where an error is zero.

    Example:
        >>> observed_slopes([0.5, 0.25, 0.125], [0.4, 0.2, 0.05])
        [1.0, 2.0]
    """
    return [
        math.log(e0 / e1) / math.log(h0 / h1) if e0 > 0 and e1 > 0 else math.nan
        for h0, h1, e0, e1 in zip(etas, etas[1:], errors, errors[1:], strict=False)
    ]


def step_count(horizon: float, eta: float) -> int:
    """``N = T / eta``, refused unless it is a whole number of steps.

    Example:
        >>> step_count(1.0, 0.125)
        8
    """
    if not 0 < horizon < math.inf:
        raise InputError(f"T = {horizon:g} is not a positive time; give e.g. 1")
    if not eta > 0:
        raise InputError(f"eta = {eta} is not positive; give step sizes such as 1/8,1/16")
    steps = round(horizon / eta)
    if steps < 1 or not math.isclose(steps * eta, horizon, rel_tol=1e-9):
        raise InputError(
            f"eta = {eta:g} does not divide T = {horizon:g}: T/eta = {horizon / eta:g}; "
            f"use e.g. eta = {horizon / max(steps, 1):g}"
        )
    if steps > _MOST_STEPS:
        raise InputError(f"T/eta = {steps} steps are too many; give at most {_MOST_STEPS}")
    return steps
