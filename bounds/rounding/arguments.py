"""Arguments that many bounds share, checked."""

from typing import SupportsFloat

from ...ground.errors import InputError
from .real import real_number

__all__ = ["check_delta", "check_dim"]


def check_delta(delta: SupportsFloat) -> float:
    """Refuse a probability of failure outside (0, 1), or so small that its parts underflow."""
    number = real_number("delta", delta, "down")
    if not 1e-100 < number < 1:
        raise InputError(
            f"delta = {delta} does not lie in (0, 1) or is below 1e-100; give e.g. 0.05 for 95 % confidence"
        )
    return number


def check_dim(dim: int) -> int:
    """Refuse a number of parameters that is not a positive whole number."""
    number = real_number("dim", dim, "up")
    if not (1 <= number <= 2**60 and number == int(dim)):
        raise InputError(f"dim = {dim} is not a number of parameters: need dim >= 1, a whole number")
    return int(dim)
