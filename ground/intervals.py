"""Student's interval of a mean: the one place where a spread over seeds, probes or paths becomes an interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from .errors import InputError

__all__ = ["Interval", "mean_interval", "student_quantile"]


@dataclass(frozen=True)
class Interval:
    """A mean and the half width of its interval.

    Attributes:
        mean: of the values.
        half_width: NaN where one value says nothing about their spread.
    """

    mean: float
    half_width: float

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half_width


def student_quantile(count: int, confidence: float) -> float:
    """``t`` such that the mean of ``count`` normal values lies within ``t s / sqrt(count)`` of the truth so often.

    Raises:
        InputError: fewer than two values, or a confidence outside (0, 1).

    Example:
        >>> round(student_quantile(3, 0.95), 4)
        4.3027
    """
    if count < 2:
        raise InputError(f"{count} value has no spread, and so no interval; give at least 2")
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence} is out of range; give a number between 0 and 1")
    return float(stdtrit(count - 1, (1 + confidence) / 2))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's interval of the mean.

    Raises:
        InputError: fewer than two values, or a confidence outside (0, 1).

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0])
        >>> round(interval.mean, 3), round(interval.half_width, 3)
        (2.0, 2.484)
    """
    n = len(values)
    quantile = student_quantile(n, confidence)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Interval(mean, quantile * math.sqrt(variance / n))
