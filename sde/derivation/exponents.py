"""Exponents of ``eta`` as exact rationals, from whatever kind of number they are given as."""

import math
from decimal import Decimal
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

from ...ground.errors import InputError
from ...ground.exact_numbers import exact_number

__all__ = ["rational"]


def rational(value: Any, what: str = "rho exponent") -> Fraction:
    """Read an exact rational from an int, a Fraction, a text such as ``1/3``, or a float that is a dyadic fraction.

    Raises:
        InputError: anything else, such as ``0.333`` or ``sqrt(2)``.

    Example:
        >>> rational("2/3"), rational(0.5)
        (Fraction(2, 3), Fraction(1, 2))
    """
    if isinstance(value, Real) and hasattr(value, "dtype") and not isinstance(value, Rational):
        value = float(value)  # numpy's, told apart without loading numpy
    if isinstance(value, bool):
        raise InputError(f"{what} {value} is not a number; give e.g. 1/3")
    if isinstance(value, str):
        return _read(value, what)
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, Decimal):
        return _read(str(value), what)
    if getattr(value, "is_Rational", False):  # sympy's
        return Fraction(int(value.p), int(value.q))
    if isinstance(value, float) and math.isfinite(value) and Fraction(value).denominator <= 1024:
        return Fraction(value)
    nearby = (
        f", e.g. '{Fraction(value).limit_denominator(12)}'" if isinstance(value, float) and math.isfinite(value) else ""
    )
    raise InputError(
        f"{what} {value} is not rational, and powers of eta must be compared exactly; give a Fraction or a text{nearby}"
    )


def _read(text: str, what: str) -> Fraction:
    try:
        return exact_number(text)
    except InputError:
        raise InputError(f"{what} '{text}' is not rational; write a fraction such as 1/3") from None
