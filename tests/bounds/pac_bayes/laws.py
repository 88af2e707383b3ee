"""Samples of losses that take two or three values, all of them, with their probabilities."""

import math
from dataclasses import dataclass

import mpmath

mpf = mpmath.mpf


@dataclass(frozen=True)
class Outcome:
    """Of ``n`` independent losses: their empirical and true moments, for exponents to be functions of.

    ``r`` mean, ``m`` mean square, ``v`` unbiased variance; ``risk`` and ``variance`` are the true ones.
    """

    n: int
    r: mpf
    m: mpf
    v: mpf
    risk: mpf
    variance: mpf


def outcomes(n, law):
    """``(probability, Outcome)`` of each composition of ``n`` examples.

    ``law`` maps values, as texts, to probabilities; that of the first is what the others leave.
    """
    values, rest = [mpf(x) for x in law], [mpf(p) for p in list(law.values())[1:]]
    shares = [1 - mpmath.fsum(rest), *rest]
    risk = mpmath.fdot(values, shares)
    variance = mpmath.fdot([x * x for x in values], shares) - risk**2
    for counts in _compositions(n, len(values)):
        ways = math.factorial(n)
        for count in counts:
            ways //= math.factorial(count)
        chance = ways * mpmath.fprod(p**count for p, count in zip(shares, counts, strict=True))
        r = mpmath.fdot(values, counts) / n
        m = mpmath.fdot([x * x for x in values], counts) / n
        yield chance, Outcome(n, r, m, (m - r * r) * n / (n - 1), risk, variance)


def _compositions(n, parts):
    if parts == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in _compositions(n - first, parts - 1):
            yield (first, *rest)


def mean_exponential(n, law, exponent):
    """``E exp(exponent(outcome))``, summed in the digits that are set."""
    return mpmath.fsum(chance * mpmath.exp(exponent(o)) for chance, o in outcomes(n, law))


def bernoulli(p):
    """Losses of 0 and 1."""
    return {"0": "", "1": p}
