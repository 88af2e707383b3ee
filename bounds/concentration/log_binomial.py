"""Logarithms of binomial coefficients in intervals, in a time that does not grow with them."""

import math
from functools import lru_cache
from typing import Any

from mpmath import bernfrac

from ..rounding.intervals import intervals

__all__ = ["log_binomial"]

SMALL = 256  # up to here coefficients are whole numbers of moderate length; beyond, 20 terms leave an error of 2^-265
TERMS = 20


@lru_cache(maxsize=64)
def log_binomial(n: int, k: int, bits: int) -> Any:
    """An interval of ``bits`` bits that holds ``ln C(n, k)``, ``0 <= k <= n``.

    By Stirling's series ``ln m! = m ln m - m + ln(2 pi m)/2 + sum_i B_2i / (2i (2i-1) m^(2i-1))``, whose error is
    below the first term left out and has its sign (DLMF 5.11(ii)).

    Example:
        >>> from eigensam.bounds.rounding.intervals import upper_end
        >>> round(upper_end(log_binomial(10, 3, 256)), 6)  # ln 120
        4.787492
    """
    iv = intervals(bits)
    rest = n - k
    if min(k, rest) <= SMALL:
        return iv.log(iv.real(math.comb(n, k)))
    # n ln n - k ln k - (n-k) ln(n-k) without its largest part, which cancels
    main = k * iv.log(iv.real(n) / k) + rest * iv.log(iv.real(n) / rest)
    root = iv.log(iv.real(n) / (2 * iv.pi * k * rest)) / 2
    return main + root + _correction(n, bits) - _correction(k, bits) - _correction(rest, bits)


def _correction(m: int, bits: int) -> Any:
    """What Stirling's series adds to ``m ln m - m + ln(2 pi m)/2``, by Horner's scheme."""
    iv = intervals(bits)
    coefficients = _coefficients(bits)
    inverse = 1 / iv.real(m)
    square = inverse * inverse
    total = coefficients[-1] * iv.hull(0, 1)
    for coefficient in reversed(coefficients[:-1]):
        total = coefficient + square * total
    return total * inverse


@lru_cache(maxsize=8)
def _coefficients(bits: int) -> list[Any]:
    """``B_2i / (2i (2i-1))`` for ``i = 1 ... TERMS``."""
    numbers = [bernfrac(2 * i) for i in range(1, TERMS + 1)]
    return [
        intervals(bits).real(int(numerator)) / (int(denominator) * 2 * i * (2 * i - 1))
        for i, (numerator, denominator) in enumerate(numbers, 1)
    ]
