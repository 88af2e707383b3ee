"""What the errors of one law ``rho = c eta^beta`` say of a claimed order: one logic for every method.

An error is a function, of start points, test functions and times. If the claim ``p`` is right, all of it falls like
``eta^p``: ``w = error / eta^p`` converges as a function. If a term of order ``q < p`` is wrong, ``w`` moves by ever
more, like ``eta^(q - p)``. The largest value alone does not show that: where the wrong term and the right remainder
have opposite signs, their maximum falls like ``eta^p`` for a while. In the changes of ``w`` the remainder cancels.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from .claim import Claim
from .needed_terms import CHANGE, Term

__all__ = ["Evidence", "Verdict", "largest", "observed_slopes"]

Array = NDArray[np.float64]
Verdict = Literal["pass", "fail", "inconclusive"]

_SPAN = 3.9  # of the step sizes of the last two slopes: closer ones are one measurement
_CONVERGING = 0.1  # ours: slope from which the rule's own expectations count as converging
_SAFETY = 2.0  # a mistake may hide behind another term to its half
_BY_CHANCE = 0.1  # of what the tolerance allows: many numbers do not all agree better by chance


def largest(difference: Array) -> float:
    """The largest absolute value; NaN where one is."""
    return float(np.abs(difference).max())


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


@dataclass(frozen=True)
class Evidence:
    """Errors of a claim at its law of ``rho``.

    Attributes:
        claim: whose step sizes are measured.
        errors: their norms, one per step size.
        rates: ``|w_{i+1} - w_i| / log(eta_i / eta_{i+1})``, one per pair of neighbours.
        converging: the smallest of the last two slopes of the changes of the rule's and of the SDE's expectations;
            infinite if these are not known.
        influences: how far a change of each needed term by :data:`CHANGE` of itself moves the last error.
        doubt: why nothing can be concluded; empty if something can.
        single: whether an error is one number, which may agree with the claim by chance.
    """

    claim: Claim
    errors: list[float]
    rates: list[float]
    converging: float
    influences: Mapping[Term, float]
    doubt: str = ""
    single: bool = False

    @classmethod
    def of(
        cls,
        claim: Claim,
        differences: Sequence[Any],
        *,
        chains: Sequence[Any] = (),
        solutions: Sequence[Any] = (),
        norm: Callable[[Any], float] = largest,
        influences: Mapping[Term, float] | None = None,
        doubt: str = "",
    ) -> Self:
        """From the errors as arrays of one shape, and the rule's own expectations, where they are known.

        Args:
            claim: what is claimed.
            differences: one array per step size.
            chains: what the rule's expectations are, one array per step size.
            solutions: what the SDE's are.
            norm: of a difference.
            influences: see :class:`Evidence`; None where they need not be seen.
            doubt: why nothing can be concluded.
        """
        etas = claim.etas
        scaled = [each / eta**claim.expected for each, eta in zip(differences, etas, strict=True)]
        ratios = [math.log(a / b) for a, b in itertools.pairwise(etas)]
        rates = [norm(b - a) / ratio for (a, b), ratio in zip(itertools.pairwise(scaled), ratios, strict=True)]
        steps = [(a * b) ** 0.5 for a, b in itertools.pairwise(etas)]
        converging = math.inf
        for each in (chains, solutions):  # a large rho makes either explode before anything is asymptotic
            moved = [norm(b - a) / r for (a, b), r in zip(itertools.pairwise(each), ratios, strict=False)]
            converging = min([converging, *observed_slopes(steps, moved)[-2:]])
        errors, single = [norm(each) for each in differences], math.prod(differences[0].shape) == 1
        return cls(claim, errors, rates, converging, influences or {}, doubt, single)

    def upto(self, count: int) -> "Evidence":
        """Of the first step sizes alone."""
        return replace(
            self, claim=self.claim.upto(count), errors=self.errors[:count], rates=self.rates[: max(0, count - 1)]
        )

    @property
    def slopes(self) -> list[float]:
        """One per pair of neighbours."""
        return observed_slopes(self.claim.etas, self.errors)

    @property
    def slope(self) -> float:
        """The last one."""
        return self.slopes[-1] if len(self.errors) > 1 else math.nan

    def judged(self) -> tuple[Verdict, str]:
        """The verdict on the claim, and the numbers behind it."""
        expected, tolerance, slope = self.claim.expected, self.claim.tolerance, self.slope
        if self.doubt:
            return "inconclusive", self.doubt
        if not math.isfinite(slope):
            return "inconclusive", "there is no slope: an error is 0 or not finite"
        near = abs(slope - expected) <= tolerance
        if doubt := self._too_few():
            return "inconclusive", doubt
        if near:
            doubt = self._moving()
            return ("inconclusive", doubt) if doubt else ("pass", self.numbers())
        if slope > expected:
            return "inconclusive", (
                f"slope {slope:.3f}, better than the expected {expected:.3f} +- {tolerance:.3g}: the "
                "term of that order is not seen here, its coefficient vanishes or rho scale is too small"
            )
        doubt = self._approaching()
        return ("inconclusive", doubt) if doubt else ("fail", self.numbers())

    def numbers(self) -> str:
        """Slope and claim."""
        return f"slope {self.slope:.3f}, expected {self.claim.expected:.3f} +- {self.claim.tolerance:.3g}"

    def _too_few(self) -> str:
        etas = self.claim.etas
        if len(etas) < 3:
            return f"slope {self.slope:.3f}: one alone does not show whether it has settled, give more step sizes"
        if etas[-3] / etas[-1] < _SPAN:
            return (
                f"slope {self.slope:.3f}: the last three step sizes differ by a factor of {etas[-3] / etas[-1]:.3g} "
                "only, which does not show whether it has settled; give 1/8,1/16,1/32 or wider"
            )
        return ""

    def _moving(self) -> str:
        """Whether a slope that is near the claim is on its way through it, over the last two pairs of step sizes.

        Where errors are functions, the maximum may pass from one point to another and its slope jump; then ``w`` has to
        settle: its changes shrink.
        """
        tolerance, (before, last) = self.claim.tolerance, self.slopes[-2:]
        shrinking = not self.single and self.rates[-1] < self.rates[-2]
        if not (abs(last - before) <= tolerance or shrinking):
            return (
                f"the slope {last:.3f} has not settled: it moved from {before:.3f} to {last:.3f}; use smaller step "
                "sizes"
            )
        share, allowed = self._change_of_last(), self._allowed()
        if not share <= allowed:
            return (
                f"the slope {last:.3f} is that of the largest error alone: over the last pair of step sizes the errors "
                f"divided by eta^{self.claim.expected:.3g} still change by {share:.1%} of the largest, where "
                f"{allowed:.1%} is within the tolerance, so terms of other orders cancel; use smaller step sizes"
            )
        return ""

    def _change_of_last(self) -> float:
        """``|w_n - w_{n-1}| / |w_n|``."""
        etas = self.claim.etas
        return float(self.rates[-1] * math.log(self._ratio) * etas[-1] ** self.claim.expected / self.errors[-1])

    @property
    def _ratio(self) -> float:
        return self.claim.etas[-2] / self.claim.etas[-1]

    def _allowed(self) -> float:
        """What a slope within the tolerance may change ``w``."""
        return float(self._ratio**self.claim.tolerance - 1)

    def visible(self) -> dict[Term, float]:
        """The relative mistake in each needed coefficient that would have been seen; infinite if none would.

        A mistake of order ``q`` moves ``w`` over the last pair by ``1 - r^(q - p)`` of its own influence. It is seen
        where that is twice as far as ``w`` has moved, so that the remainder of a right SDE can hide half of it at most.
        """
        if not self.influences:
            return {}
        moved = max(self._change_of_last(), self._allowed() * (1 if self.single else _BY_CHANCE)) * self.errors[-1]
        found = {}
        for term, influence in self.influences.items():
            gap = self.claim.order - float(term.order)
            share = influence * (1 - self._ratio**-gap)
            seen = share > 0 and gap > self.claim.tolerance
            found[term] = float(CHANGE) * _SAFETY * moved / share if seen else math.inf
        return found

    def _approaching(self) -> str:
        """Whether a slope that is too small may still become the claimed one, or has not begun to be one.

        The changes of ``w`` shrink where the claim is right, whatever the slope is yet; where it is wrong they grow,
        like ``eta^(q - p)``.
        """
        before, last = self.rates[-2:]
        etas = self.claim.etas
        grown = math.log(last / before) / math.log(math.sqrt(etas[-3] / etas[-1])) if before > 0 and last > 0 else 0.0
        if not grown > self.claim.tolerance:
            return (
                f"slope {self.slope:.3f}, but the errors divided by eta^{self.claim.expected:.3g} do not change by "
                f"more and more: it still moves towards {self.claim.expected:.3f}, the step sizes are too large to "
                "tell; use smaller ones"
            )
        if self.converging <= _CONVERGING:  # NaN where they do not change at all
            return (
                f"slope {self.slope:.3f}, but the expectations themselves do not converge yet: rho scale or the step "
                "sizes are too large to tell; use smaller ones"
            )
        return ""
