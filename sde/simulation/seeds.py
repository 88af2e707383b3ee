"""The seed of a run, as every generator takes it."""

from typing import Any

from ...ground.errors import InputError
from .given_numbers import whole_number

__all__ = ["checked_seed"]


def checked_seed(seed: Any) -> int:
    """A seed as a number of Python's.

    Raises:
        InputError: it is not a whole number from 0 to ``2^63 - 1``.

    Example:
        >>> import numpy as np
        >>> checked_seed(np.int64(5))
        5
    """
    try:
        return whole_number("seed", seed, 0, 2**63 - 1)
    except InputError:
        raise InputError(f"seed {seed!r} is not a whole number from 0 to 2^63 - 1; give one, such as 0") from None
