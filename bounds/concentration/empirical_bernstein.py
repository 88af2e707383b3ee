"""Maurer and Pontil's empirical Bernstein inequality for losses in [0, 1], rounded outward."""

from typing import SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_delta
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from ..rounding.whole import whole_number
from .kl import unit_number

__all__ = ["empirical_bernstein"]

ROUNDING = 0.01  # ours: what means and variances in half precision may be off, far below what losses outside [0, 1] do


def empirical_bernstein(mean: SupportsFloat, variance: SupportsFloat, n: SupportsFloat, delta: SupportsFloat) -> float:
    """``mean + sqrt(2 V ln(2/delta) / n) + 7 ln(2/delta) / (3 (n-1))``, at most 1.

    With probability ``1 - delta`` it is not below the expected loss, for ``n`` independent losses in [0, 1]. They may
    have different distributions: then the expectation is that of their mean, and the expected ``V`` only exceeds the
    mean of their variances.

    Args:
        mean: of the losses, in [0, 1]. Add up in double precision: the error of the mean itself is not known here.
        variance: ``V = sum (l_i - mean)^2 / (n-1)``, the unbiased one: ``ddof=1`` in numpy, torch's default.
        n: their number, at least 2.
        delta: probability that the bound fails, in (1e-100, 1); both terms are paid from it.

    Returns:
        The least float that is not below it.

    Raises:
        InputError: an argument out of range, or a variance that losses in [0, 1] of that mean cannot have,
            ``n/(n-1) mean (1-mean)`` at most.

    Reference:
        Maurer & Pontil 2009, Theorem 4; Theorem 11 for different distributions.

    Example:
        >>> round(empirical_bernstein(0.03, 0.0002, 1000, 0.05), 6)
        0.039831
    """
    mean = unit_number("mean", mean)
    n = whole_number("n", n, least=2)
    v = real_number("variance", variance, "up")
    if not 0 <= v <= n / (n - 1) * mean * (1 - mean) + ROUNDING:  # also refuses NaN
        raise InputError(
            f"variance = {variance} is negative or more than losses in [0, 1] of mean {mean} can have; "
            f"divide the losses by their upper bound first, and take mean and variance of the same ones"
        )
    iv = intervals()
    log = iv.log(2 / iv.real(check_delta(delta)))
    return min(1.0, upper_end(mean + iv.sqrt(2 * iv.real(v) * log / n) + 7 * log / (3 * (iv.real(n) - 1))))
