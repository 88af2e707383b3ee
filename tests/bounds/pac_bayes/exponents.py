"""What each inequality rests on, written down anew: functions of an outcome whose exponential has mean at most 1.

``EXPONENTS[name](kind)`` gives the functions of an inequality with the parameters of ``kind``, and which share of
delta each has. An inequality without an entry here fails the contract.
"""

import math
from functools import cache

import mpmath

mpf = mpmath.mpf


def kl(r, p):
    """``kl(r || p)`` in the digits that are set."""
    if r == p:
        return mpf(0)
    if p in (0, 1):
        return mpmath.inf
    first = r * mpmath.log(r / p) if r else mpf(0)
    return first + ((1 - r) * mpmath.log((1 - r) / (1 - p)) if r != 1 else 0)


@cache
def log_xi(n):
    """``ln xi(n)`` from its definition, in 60 digits."""
    with mpmath.workdps(60):
        return mpmath.log(sum(math.comb(n, k) * k**k * (n - k) ** (n - k) for k in range(n + 1)) / mpf(n) ** n)


def of_kl(distance):
    """``n d(r, R) - ln xi(n)`` where ``d <= kl`` for ``r <= R``, and 0 for ``r > R``."""
    return lambda o: o.n * (distance(o.r, o.risk) if o.r < o.risk else 0) - log_xi(o.n)


def half_square(r, p):
    return (p - r) ** 2 / (2 * p)


def pinsker(r, p):
    return 2 * (p - r) ** 2


def root(r, p):
    """The ``eps`` with ``p = r + sqrt(2 r eps) + 2 eps``."""
    return ((mpmath.sqrt(8 * p - 6 * r) - mpmath.sqrt(2 * r)) / 4) ** 2


def catoni(c):
    c = mpf(c)
    return lambda o: o.n * (-mpmath.log(1 - (1 - mpmath.exp(-c)) * o.risk) - c * o.r)


def alquier(s):
    s = mpf(s)
    return lambda o: o.n * (s * (o.risk - o.r) - s * s / 8)


def unexpected(c):
    c = mpf(c)
    eta = 1 - mpmath.exp(-c)
    return lambda o: o.n * (-mpmath.log(1 - eta * o.risk) - eta * o.r - (c - eta) * o.m)


def bernstein(a):
    a = mpf(a)
    return lambda o: o.n * (a * (o.risk - o.r) - (mpmath.exp(a) - 1 - a) * o.variance)


def of_variance(a):
    a = mpf(a)
    b = 2 * a / (a + mpmath.sqrt(a * a + 4))
    return lambda o: (o.n - 1) * (b * (o.variance - o.v) - b * b * o.variance / 2)


def _once(exponent):
    return lambda kind: [(1, exponent(kind))]


def _grid(exponent):
    return lambda kind: [(mpf(1) / kind.points, exponent(rate)) for rate in kind.rates()]


EXPONENTS = {
    "maurer": _once(lambda kind: of_kl(kl)),
    "quadratic": _once(lambda kind: of_kl(half_square)),
    "lambda": _once(lambda kind: of_kl(half_square)),
    "tolstikhin-seldin": _once(lambda kind: of_kl(root)),
    "mcallester": _once(lambda kind: of_kl(pinsker)),
    "catoni": _once(lambda kind: catoni(kind.c)),
    "catoni-grid": _grid(catoni),
    "alquier": _once(lambda kind: alquier(kind.s)),
    "empirical-bernstein": lambda kind: [
        (mpf(1) / (2 * kind.points), exponent(rate)) for exponent in (bernstein, of_variance) for rate in kind.rates()
    ],
    "unexpected-bernstein": _grid(unexpected),
}
