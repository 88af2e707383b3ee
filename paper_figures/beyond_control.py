"""Is something better than its control? Differences of paired runs, and a verdict of three."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy.special import stdtr

from ..ground.errors import InputError
from ..ground.holm import holm
from ..ground.intervals import Interval, student_quantile
from .seed_mean import has_interval

__all__ = ["LOWER", "Comparison", "Quantity", "higher", "judged", "student_p"]

_LEVEL = 0.05


@dataclass(frozen=True)
class Quantity:
    """What is compared with a control.

    Attributes:
        scale: of a measured number, such that less is better and differences are what counts.
        margin: on that scale; an improvement that is smaller counts as none. It is ours.
        within: the margin in words, to follow "by less than".
        words: of a mean and of the ends of an interval on that scale.
    """

    scale: Callable[[float], float]
    margin: float
    within: str
    words: Callable[[float], str]


def _logarithm(value: float) -> float:
    if not 0 < value < math.inf:
        raise InputError(f"{value} has no logarithm; a ratio needs positive numbers: the measurement has failed")
    return math.log(value)


LOWER = Quantity(_logarithm, -math.log(0.95), "5%", lambda value: f"{math.exp(value):.2f}")
"""A positive number that is to be lower: the ratio, by less than 5 % counts as none (below what a tenth more of ``rho``
does)."""


def higher(margin: float, within: str, digits: int, unit: float = 1.0) -> Quantity:
    """A number that is to be higher: the difference.

    Args:
        margin: in units of ``unit``.
        within: the margin in words.
        digits: behind the point.
        unit: of what is shown, ``0.01`` for a share in percent.

    Example:
        >>> points = higher(0.5, "0.5 points", 2, unit=0.01)
        >>> (found,) = judged([([0.95, 0.96, 0.98], [0.93, 0.94, 0.95])], points)
        >>> found.answer, found.words
        ('yes', '+2.33 [+0.90, +3.77]')
    """
    return Quantity(lambda value: -value / unit, margin, within, lambda value: f"{0.0 - value:+.{digits}f}")


def student_p(values: Sequence[float], step: float = 0.0) -> float:
    """One-sided p-value of Student's test that the mean is not below 0; 1 for fewer than two values.

    Args:
        values: independent.
        step: see :func:`judged`.

    Example:
        >>> round(student_p([-1.0, -2.0, -3.0]), 4), round(student_p([1.0, 2.0, 3.0]), 4)
        (0.0371, 0.9629)
    """
    if len(values) < 2:
        return 1.0
    mean, error = _mean_and_error(values, step)
    if error == 0:
        return 0.0 if mean < 0 else 1.0
    return float(stdtr(len(values) - 1, mean / error))


def _mean_and_error(values: Sequence[float], step: float) -> tuple[float, float]:
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, math.sqrt(max(variance, step**2 / 12) / n)


def _interval(values: Sequence[float], step: float) -> Interval:
    """Student's, of 95 %."""
    if len(values) < 2:
        return Interval(values[0], math.nan)
    mean, error = _mean_and_error(values, step)
    return Interval(mean, student_quantile(len(values), 0.95) * error)


@dataclass(frozen=True)
class Comparison:
    """A quantity beside its control's over the same seeds.

    Attributes:
        difference: on the quantity's scale, where below 0 is better; Student's 95 % interval.
        p: one-sided, that it is not better, of this comparison alone.
        adjusted: the same after Holm's correction for all comparisons that are judged together.
        quantity: what is compared.
    """

    difference: Interval
    p: float
    adjusted: float
    quantity: Quantity = LOWER

    @property
    def resolved(self) -> bool:
        """Whether it is better also after correction."""
        return has_interval(self.difference) and self.adjusted < _LEVEL

    @property
    def answer(self) -> str:
        """Whether it is better than the control: ``yes``, ``no`` or ``not resolved``.

        - *yes*: it is better, and the difference stands after Holm's correction.
        - *no*: the 95 % interval excludes an improvement by the margin or more. That is a statement of
          (one-sided) equivalence; a mere failure to see a difference is none.
        - *not resolved*: else.

        Where both hold, the improvement is there and smaller than the margin, which the answer adds.
        """
        if not has_interval(self.difference):
            return "not resolved"
        better, small = self.resolved and self.difference.high < 0, self.difference.low > -self.quantity.margin
        if better:
            return f"yes, by less than {self.quantity.within}" if small else "yes"
        return "no" if small else "not resolved"

    @property
    def words(self) -> str:
        """Mean and interval: ``0.97 [0.93, 1.02]``."""
        write = self.quantity.words
        mean = write(self.difference.mean)
        if not has_interval(self.difference):
            return mean
        ends = [write(end) for end in (self.difference.low, self.difference.high)]
        # What is to be higher is shown with its own sign.
        return f"{mean} [{', '.join(sorted(ends, key=float))}]"


def judged(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]], quantity: Quantity = LOWER, steps: Sequence[float] = ()
) -> list[Comparison]:
    """Comparisons that are judged together, each of values with those of its control, seed by seed.

    Args:
        pairs: values and the control's.
        quantity: what they are.
        steps: smallest differences that measured numbers may have, on the quantity's scale, for each comparison; 0 by
            default. Numbers that agree may differ by less than a step, so that no spread counts as smaller than that
            of rounding, ``step/sqrt(12)``.

    Raises:
        InputError: a ratio of numbers that are not positive.

    Example:
        >>> both = judged([([0.7, 0.71, 0.69], [1.0, 1.0, 1.0]), ([1.0, 1.01, 0.99], [1.0, 1.0, 1.0])])
        >>> [(each.answer, each.words) for each in both]
        [('yes', '0.70 [0.68, 0.73]'), ('no', '1.00 [0.98, 1.03]')]

        Three seeds, each with one of a hundred more: that all have the same is no proof.

        >>> points, same = higher(0.5, "0.5 points", 2, unit=0.01), [0.94, 0.95, 0.96]
        >>> found = judged([([0.95, 0.96, 0.97], same), (same, same)], points, steps=[1.0, 1.0])
        >>> [(each.answer, each.words) for each in found]
        [('yes', '+1.00 [+0.28, +1.72]'), ('not resolved', '+0.00 [-0.72, +0.72]')]
    """
    steps = steps or [0.0] * len(pairs)
    differences = [
        [quantity.scale(a) - quantity.scale(b) for a, b in zip(over, under, strict=True)] for over, under in pairs
    ]
    p_values = [student_p(values, step) for values, step in zip(differences, steps, strict=True)]
    return [
        Comparison(_interval(values, step), p, adjusted, quantity)
        for values, step, p, adjusted in zip(differences, steps, p_values, holm(p_values), strict=True)
    ]
