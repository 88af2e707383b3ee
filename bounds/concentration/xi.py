"""Maurer's function xi(n), the price of the kl inequality, exact or by a proven closed form."""

from functools import lru_cache
from typing import Any, SupportsFloat

from ..rounding.intervals import intervals, upper_end
from ..rounding.whole import whole_number

__all__ = ["log_xi"]

LARGEST_SUM = 10**7  # up to here milliseconds; from here on the closed form is too large by less than 1e-12
BITS = 128


def log_xi(n: SupportsFloat) -> float:
    """``ln xi(n)`` with ``xi(n) = sum_k C(n, k) (k/n)^k (1-k/n)^(n-k)``, rounded up.

    It is the expectation of ``exp(n kl(X/n || p))`` over binomial ``X``, whatever ``p`` in (0, 1), and bounds that of
    ``n`` independent losses in [0, 1] with sum ``X`` and mean expectation ``p``, as the exponential is convex in ``X``
    (Maurer 2004; Hoeffding 1956, Theorem 3, for different distributions). It lies in ``[ln sqrt(n), ln(2 sqrt(n))]``
    for ``n >= 8``; the common ``ln(2 sqrt(n))`` wastes 0.47 nats.

    The sum equals ``n!/n^n sum_(k<=n) n^k/k!``: with Cayley's tree function ``T = z e^T``, ``sum_k k^k z^k/k!`` is
    ``1/(1-T)``, so that ``xi(n)`` is ``n!/n^n`` times the coefficient of ``z^n`` in ``1/(1-T)^2``, which is that of
    ``u^n`` in ``e^(nu)/(1-u)`` (Lagrange's inversion). So ``xi(n) = 1 + sum_(i>=1) prod_(l<i) (1 - l/n)``, one more
    than Ramanujan's ``Q(n)``, and some ``10 sqrt(n)`` terms are enough. Each is rounded up in units of ``2^-128``, and
    a geometric series bounds the rest.

    Above ``n = 10^7``: ``Q(n) + R(n) = n! (e/n)^n`` and ``R(n) - Q(n) > 2/3`` (Ramanujan's problem, proved by Szegő
    1928 and Watson 1929; see Flajolet et al. 1995), and ``n! <= sqrt(2 pi n) (n/e)^n e^(1/(12n))`` (Robbins 1955), so
    that ``xi(n) <= sqrt(pi n/2) e^(1/(12n)) + 2/3``. The logarithm is then too large by less than 1e-12.

    Args:
        n: number of examples, at least 1.

    Raises:
        InputError: not a count.

    Reference:
        Maurer 2004, Theorem 1 (``xi(n) <= 2 sqrt(n)`` for ``n >= 8``); Knuth, The Art of Computer Programming,
        Section 1.2.11.3 (``Q`` and ``R``); Flajolet, Grabner, Kirschenhofer & Prodinger 1995.

    Example:
        >>> import math
        >>> round(math.exp(log_xi(2)), 6), round(log_xi(10_000) - math.log(2 * math.sqrt(10_000)), 6)
        (2.5, -0.462042)
    """
    return _log_xi(whole_number("n", n, least=1))


@lru_cache(maxsize=256)
def _log_xi(n: int) -> float:
    iv = intervals()
    if n > LARGEST_SUM:
        return upper_end(iv.log(closed_form(n)))
    return upper_end(iv.log(iv.real(_sum(n)) / (1 << BITS)))


def closed_form(n: int) -> Any:
    """An interval that holds ``sqrt(pi n/2) e^(1/(12n)) + 2/3``."""
    iv = intervals()
    return iv.sqrt(iv.pi * n / 2) * iv.exp(iv.real(1) / (12 * n)) + iv.real(2) / 3


def _sum(n: int) -> int:
    """``xi(n)`` in units of ``2^-BITS``, rounded up, by less than 10^12 units."""
    unit = term = 1 << BITS
    total = 2 * unit  # the leading 1, and the first product, which is empty
    for l in range(1, n):  # noqa: E741
        term = -(-term * (n - l) // n)
        total += term
        if term < 1 << (BITS // 4):
            return total + -(-term * (n - l) // l)  # at most term * sum_i (1 - l/n)^i over i >= 1
    return total
