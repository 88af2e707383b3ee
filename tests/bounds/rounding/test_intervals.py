"""Ends of intervals become floats outward, at both ends of their range; elementary functions contain the truth."""

import math
import random
from fractions import Fraction

import mpmath
import pytest

from eigensam.bounds.rounding.intervals import intervals, lower_end, nearest_float, upper_end

TINY = 5e-324


def test_ends_are_the_neighbouring_floats():
    rng, iv = random.Random(0), intervals()
    for _ in range(300):
        exact = Fraction(rng.randint(-(10**20), 10**20), rng.randint(1, 10**20))
        exact *= Fraction(10) ** rng.randint(-330, 300)
        x = iv.real(exact.numerator) / exact.denominator
        low, high = lower_end(x), upper_end(x)
        assert low <= exact <= high
        assert high in (low, math.nextafter(low, math.inf))
        assert nearest_float(x.a) in (low, high)


def test_outside_the_floats():
    iv = intervals()
    huge, small = iv.real(1e300) ** 2, iv.real(TINY) / 3
    assert (upper_end(huge), upper_end(small), lower_end(small)) == (math.inf, TINY, 0.0)
    assert (lower_end(-small), upper_end(-small), nearest_float(small.a)) == (-TINY, 0.0, 0.0)


@pytest.mark.parametrize("bits", [128, 256])
def test_functions_contain_the_truth(bits):
    rng, iv = random.Random(1), intervals(bits)
    for _ in range(100):
        x = rng.choice([10 ** rng.uniform(-300, 300), 1 + rng.uniform(-1, 1) * 10 ** rng.uniform(-16, 0)])
        y = rng.uniform(-700, 700)
        with mpmath.workprec(4 * bits):
            for interval, truth in (
                (iv.log(iv.real(x)), mpmath.log(x)),
                (iv.exp(iv.real(y)), mpmath.exp(y)),
                (iv.sqrt(iv.real(x)), mpmath.sqrt(x)),
                (iv.gamma(iv.real(1 + abs(y))), mpmath.gamma(1 + abs(y))),
                (iv.pi, +mpmath.pi),
            ):
                low, high = mpmath.mpf(interval.a), mpmath.mpf(interval.b)
                assert low <= truth <= high
                assert high - low <= abs(truth) * mpmath.mpf(2) ** (14 - bits)


def test_a_precision_of_its_own():
    """mpmath's global precision has no influence."""
    with mpmath.workdps(5):
        assert upper_end(intervals().real(1) / 3) == math.nextafter(1 / 3, 1)
