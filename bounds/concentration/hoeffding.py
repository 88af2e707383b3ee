"""Hoeffding's inequality for the mean of losses in [0, 1], rounded outward."""

from typing import SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_delta
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from ..rounding.whole import whole_number

__all__ = ["check_mean", "hoeffding"]


def check_mean(mean: SupportsFloat) -> float:
    """Refuse a mean that losses in [0, 1] cannot have; the rest is rounded up."""
    low, high = real_number("mean", mean, "down"), real_number("mean", mean, "up")
    if not (low >= 0 and high <= 1):  # also refuses NaN
        raise InputError(f"mean = {mean} does not lie in [0, 1]; divide the losses by their upper bound first")
    return high


def hoeffding(mean: SupportsFloat, n: SupportsFloat, delta: SupportsFloat) -> float:
    """``mean + sqrt(ln(1/delta) / (2n))``, at most 1: with probability ``1 - delta`` not below the expected loss.

    For ``n`` independent losses in [0, 1], of one distribution or of different ones; then the expectation is that of
    their mean. :func:`eigensam.bounds.kl_inverse` with ``c = ln(1/delta)/n`` assumes no more and is never larger: this
    one is for comparison.

    Args:
        mean: of the losses, in [0, 1]. Add up in double precision: the error of the mean itself is not known here.
        n: their number, at least 1.
        delta: probability that the bound fails, in (1e-100, 1).

    Returns:
        The least float that is not below it.

    Raises:
        InputError: an argument out of range.

    Reference:
        Hoeffding 1963, Theorem 1.

    Example:
        >>> round(hoeffding(0.03, 1000, 0.05), 6)
        0.068702
    """
    mean = check_mean(mean)
    n = whole_number("n", n, least=1)
    iv = intervals()
    return min(1.0, upper_end(mean + iv.sqrt(-iv.log(iv.real(check_delta(delta))) / (2 * n))))
