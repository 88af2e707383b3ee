"""Does something lower a positive number beyond what a control does? Log-ratios of pairs, and a verdict of three."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr

from ..ground.errors import InputError
from ..ground.intervals import Interval
from .paired_seeds import paired
from .seed_mean import has_interval

__all__ = ["MARGIN", "Comparison", "holm", "judged", "log_ratio", "student_p"]

MARGIN = 0.05
"""A reduction that is smaller than this counts as none (ours: below what one more tenth of ``rho`` does)."""

_LEVEL = 0.05


def log_ratio(over: Sequence[float], under: Sequence[float]) -> Interval:
    """Mean over pairs of ``ln(over/under)`` with Student's 95 % interval.

    Raises:
        InputError: a number that is not positive, or not finite.

    Example:
        >>> found = log_ratio([2.0, 2.0, 4.0], [1.0, 2.0, 2.0])
        >>> round(math.exp(found.mean), 4)
        1.5874
    """
    return paired(_logarithms(over), _logarithms(under))


def _logarithms(values: Sequence[float]) -> list[float]:
    for value in values:
        if not 0 < value < math.inf:
            raise InputError(f"{value} has no logarithm; a ratio needs positive numbers: the measurement has failed")
    return [math.log(value) for value in values]


def student_p(values: Sequence[float]) -> float:
    """Two-sided p-value of Student's test that the mean is 0; 1 for fewer than two values.

    Example:
        >>> round(student_p([1.0, 2.0, 3.0]), 4)
        0.0742
    """
    n = len(values)
    if n < 2:
        return 1.0
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    if variance == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(n - 1, -abs(mean) / math.sqrt(variance / n)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: with those below a level taken for true, the chance of any wrong one is at most that level.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Reference:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, worst = [1.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = worst
    return adjusted


@dataclass(frozen=True)
class Comparison:
    """One number against a control over the same seeds.

    Attributes:
        ratio: of logarithms.
        p: two-sided, of this comparison alone.
        adjusted: the same after Holm's correction for all comparisons that are judged together.
    """

    ratio: Interval
    p: float
    adjusted: float

    @property
    def resolved(self) -> bool:
        """Whether the ratio differs from 1 also after correction."""
        return has_interval(self.ratio) and self.adjusted < _LEVEL

    @property
    def answer(self) -> str:
        """Whether the number is lowered beyond the control: ``yes``, ``no`` or ``not resolved``.

        - *yes*: it is lower, and the difference from the control stands after Holm's correction.
        - *no*: the 95 % interval excludes a reduction by the margin or more. That is a statement of
          (one-sided) equivalence; a mere failure to see a difference is none.
        - *not resolved*: else.

        Where both hold, the reduction is there and smaller than the margin, which the answer adds.
        """
        if not has_interval(self.ratio):
            return "not resolved"
        lower, small = self.resolved and self.ratio.high < 0, self.ratio.low > math.log(1 - MARGIN)
        if lower:
            return f"yes, by less than {MARGIN:.0%}" if small else "yes"
        return "no" if small else "not resolved"

    @property
    def words(self) -> str:
        """Ratio and interval: ``0.97 [0.93, 1.02]``."""
        mean = f"{math.exp(self.ratio.mean):.2f}"
        if not has_interval(self.ratio):
            return mean
        return f"{mean} [{math.exp(self.ratio.low):.2f}, {math.exp(self.ratio.high):.2f}]"


def judged(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[Comparison]:
    """Comparisons that are judged together, each of values with those of its control, seed by seed.

    Example:
        >>> both = judged([([0.7, 0.71, 0.69], [1.0, 1.0, 1.0]), ([1.0, 1.01, 0.99], [1.0, 1.0, 1.0])])
        >>> [(each.answer, each.words) for each in both]
        [('yes', '0.70 [0.68, 0.73]'), ('no', '1.00 [0.98, 1.03]')]
    """
    ratios = [log_ratio(over, under) for over, under in pairs]
    p_values = [student_p([math.log(a / b) for a, b in zip(over, under, strict=True)]) for over, under in pairs]
    return [Comparison(*each) for each in zip(ratios, p_values, holm(p_values), strict=True)]
