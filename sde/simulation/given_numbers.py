"""Numbers that a user gives, from whichever library, as Python's: equal ones are then the same setting of a run."""

import math
import operator
from typing import Any

from ...ground.errors import InputError

__all__ = ["finite_number", "whole_number"]


def whole_number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number, also one of numpy, from ``least`` to ``most``.

    Args:
        name: for the message.
        value: as given; a truth value is none.
        least: the smallest.
        most: the largest; None: there is none.

    Raises:
        InputError: something else.

    Example:
        >>> import numpy as np
        >>> whole_number("paths", np.int64(4), 1)
        4
        >>> whole_number("paths", 4.0, 1)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: paths = 4.0; give a whole number of at least 1
    """
    try:
        found = None if isinstance(value, bool) else operator.index(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found < least or (most is not None and found > most):
        range_ = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{name} = {value!r}; give a whole number {range_}")
    return found


def finite_number(name: str, value: Any, kind: str = "a finite number") -> float:
    """A finite number, also one of numpy or a tensor's.

    Args:
        name: for the message.
        value: as given; a truth value or a text is none.
        kind: what was expected, for the message.

    Raises:
        InputError: something else.

    Example:
        >>> import numpy as np
        >>> finite_number("t0", np.float32(0.5))
        0.5
    """
    try:
        found = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(f"{name} = {value!r}; give {kind}")
    return found
