"""Logarithms of binomial coefficients against whole numbers and mpmath's gamma function."""

import math
import random

import mpmath
import pytest

from eigensam.bounds.concentration.log_binomial import SMALL, TERMS, log_binomial


def holds(interval, exact):
    return mpmath.mpf(interval.a) <= exact <= mpmath.mpf(interval.b)


@pytest.mark.parametrize("bits", [64, 136, 256])
def test_whole_numbers(bits):
    """Both ways to compute it, and where one takes over from the other; a term of the series left out is seen."""
    rng = random.Random(0)
    sizes = [(n, rng.randint(0, n)) for n in (1, 2, 50, 513, 514, 1000, 3000)]
    for n, k in [*sizes, (2000, SMALL), (2000, SMALL + 1), (2 * SMALL + 2, SMALL + 1), (10**30, 2)]:
        with mpmath.workdps(200):
            exact = mpmath.log(math.comb(n, k))
            interval = log_binomial(n, k, bits)
            assert holds(interval, exact)
            assert mpmath.mpf(interval.delta) <= max(1, exact) * mpmath.mpf(2) ** (24 - min(bits, 265))
            assert not holds(interval, exact + mpmath.mpf(1) / (12 * min(n, 10**6)))


@pytest.mark.parametrize(("n", "k"), [(10**6, 1000), (10**7, 5 * 10**6), (10**12, 10**11)])
def test_large(n, k):
    with mpmath.workdps(80):
        exact = mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)
        assert holds(log_binomial(n, k, 200), exact)
        assert not holds(log_binomial(n, k - 1, 200), exact)


def test_remainder_of_the_series():
    """Below 2^-265 from the first argument on for which the series is used."""
    size = abs(mpmath.bernoulli(2 * TERMS)) / (2 * TERMS * (2 * TERMS - 1) * mpmath.mpf(SMALL) ** (2 * TERMS - 1))
    assert size < mpmath.mpf(2) ** -265
