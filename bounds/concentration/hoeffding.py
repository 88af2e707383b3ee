"""Hoeffding's inequality for the mean of losses in [0, 1], rounded outward."""

from typing import SupportsFloat

from ..rounding.arguments import check_delta
from ..rounding.intervals import intervals, upper_end
from ..rounding.whole import whole_number
from .kl import unit_number

__all__ = ["hoeffding"]


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
    mean = unit_number("mean", mean)
    n = whole_number("n", n, least=1)
    iv = intervals()
    return min(1.0, upper_end(mean + iv.sqrt(-iv.log(iv.real(check_delta(delta))) / (2 * n))))
