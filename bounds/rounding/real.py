"""Real scalars of any type as floats, without an error that could make a bound too small."""

import math
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Literal, SupportsFloat

from ...ground.errors import InputError

__all__ = ["real_number"]


def real_number(name: str, value: SupportsFloat, rounding: Literal["up", "down"]) -> float:
    """``value`` as a float: exactly where a float can hold it, else the next float in the given direction.

    Floats and integers of Python, numpy and torch (scalars: arrays without axes count), ``Fraction``, ``Decimal`` and
    other real types are taken; a float32 is a float64 exactly. What overflows is infinite, or the largest float. NaN
    stays NaN and has no range: write checks as ``not low <= x <= high``, which refuse it.

    Raises:
        InputError: not one real number: arrays, complex numbers, truth values, text.

    Example:
        >>> from fractions import Fraction
        >>> import numpy as np
        >>> third = real_number("q", Fraction(1, 3), "up")
        >>> Fraction(third) > Fraction(1, 3), real_number("q", np.float32(0.1), "up")
        (True, 0.10000000149011612)
    """
    number: Any = value
    axes = getattr(number, "ndim", None)  # of arrays, tensors and numpy's scalars, without importing their libraries
    if axes == 0:
        number = number.item()  # exact, also from half precision
    if isinstance(number, bool) or not isinstance(number, Real | Decimal):
        kind = f"an array of shape {tuple(getattr(number, 'shape', ()))}" if axes else repr(number)
        raise InputError(f"{name} = {kind} is not one real number; give a single int or float")
    if number.is_nan() if isinstance(number, Decimal) else number != number:
        return math.nan
    if isinstance(number, Integral):
        number = int(number)  # compared exactly with a float, which numpy's integers are not
    try:
        nearest = float(number)
    except OverflowError:  # of large integers and fractions
        nearest = math.inf if number > 0 else -math.inf
    if rounding == "up" and nearest < number:
        return math.nextafter(nearest, math.inf)
    if rounding == "down" and nearest > number:
        return math.nextafter(nearest, -math.inf)
    return nearest
