"""Outward rounding: a formula is evaluated in intervals of many bits, and an end of it becomes a float.

mpmath's intervals round sums, products, quotients and square roots outward exactly. Its logarithm, exponential and
gamma function are good to about a unit in the last place, which nobody has proved for each argument, so what they
return is widened by ``2^10`` units here. With 256 bits that is far below a float's rounding unit of ``2^-53``.
"""

import math
from fractions import Fraction
from functools import cache
from typing import Any

from mpmath import mp
from mpmath.ctx_iv import MPIntervalContext

__all__ = ["Intervals", "intervals", "lower_end", "nearest_float", "upper_end"]


class Intervals:
    """Interval arithmetic with a fixed precision, apart from mpmath's global one.

    Args:
        bits: of each end's mantissa.

    Example:
        >>> third = intervals().real(1) / 3
        >>> lower_end(third) < upper_end(third), upper_end(third) == math.nextafter(lower_end(third), 1)
        (True, True)
    """

    def __init__(self, bits: int) -> None:
        self._context = MPIntervalContext()
        self._context.prec = bits
        slack = self._context.mpf(2) ** (10 - bits)
        self._widening = self._context.mpf([1 - slack.b, 1 + slack.b])
        self.pi: Any = self._context.pi * self._widening

    def real(self, value: float) -> Any:
        """A number as an interval, exact."""
        return self._context.mpf(value)

    def hull(self, low: float, high: float) -> Any:
        """The interval between two numbers."""
        return self._context.mpf([low, high])

    def log(self, x: Any) -> Any:
        """Natural logarithm, ``x > 0``."""
        return self._context.log(x) * self._widening

    def exp(self, x: Any) -> Any:
        """Exponential."""
        return self._context.exp(x) * self._widening

    def sqrt(self, x: Any) -> Any:
        """Square root, ``x >= 0``."""
        return self._context.sqrt(x)

    def gamma(self, x: Any) -> Any:
        """Gamma function, ``x > 0``."""
        return self._context.gamma(x) * self._widening


@cache
def intervals(bits: int = 256) -> Intervals:
    """The arithmetic of that many bits; made once."""
    return Intervals(bits)


def upper_end(x: Any) -> float:
    """The least float that is not below the interval ``x``; infinite where floats end."""
    return _to_float(x.b, math.inf)


def lower_end(x: Any) -> float:
    """The greatest float that is not above the interval ``x``."""
    return _to_float(x.a, -math.inf)


def nearest_float(end: Any) -> float:
    """The float nearest to an end of an interval, ``x.a`` or ``x.b``, below the largest float."""
    exact = mp.convert(end)
    size = float(Fraction(int(exact.man)) * Fraction(2) ** int(exact.exp))  # mpmath's mantissa has no sign
    return -size if exact < 0 else size


def _to_float(end: Any, towards: float) -> float:
    exact = mp.convert(end)  # a degenerate interval becomes a number without rounding
    value = float(exact)
    for _ in range(2):  # the nearest float may be off by one, by two next to the subnormal numbers
        if (exact > value) if towards > 0 else (exact < value):
            value = math.nextafter(value, towards)
    return value
