"""Counts of any type as whole numbers, exactly."""

import math
from decimal import Decimal
from numbers import Integral
from typing import Any, SupportsFloat

from ...ground.errors import InputError
from .real import real_number

__all__ = ["whole_number"]


def whole_number(name: str, value: SupportsFloat, least: int = 0) -> int:
    """``value`` as an ``int``, which it must equal, at least ``least``.

    Integers of Python, numpy and torch are taken, and floats that are whole as long as their type tells them from the
    whole numbers beside them: a count of 2 049 in half precision reads 2 048.

    Raises:
        InputError: not a real number, not whole, too small, or beyond what its type counts.

    Example:
        >>> import numpy as np
        >>> whole_number("n", np.float32(60_000)), whole_number("n", 2**70 + 1) == 2**70 + 1
        (60000, True)
    """
    nearest = real_number(name, value, "down")
    if not math.isfinite(nearest) and not isinstance(value, Integral):
        raise InputError(f"{name} = {value} is not a whole number; give a count")
    given: Any = value
    number = given.item() if getattr(given, "ndim", None) == 0 else given
    count = int(number)
    if count != number:
        raise InputError(f"{name} = {value} is not a whole number; give a count")
    # Also of narrow floats, in their type, which numpy's scalars keep with a 1 of their own only.
    one = getattr(getattr(given, "dtype", None), "type", int)(1)
    if not isinstance(number, Integral | Decimal) and (given + one) - given != 1:
        raise InputError(f"{name} = {value} is beyond what its type counts one by one; count in integers")
    if count < least:
        raise InputError(f"{name} = {value} is too small; need at least {least}")
    return count
