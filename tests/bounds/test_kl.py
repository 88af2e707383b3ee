"""The binary relative entropy against multi-precision, and an inverse that errs outward only."""

import math
import random

import mpmath
import pytest

from eigensam.bounds import binary_kl, kl_inverse
from eigensam.landscapes import InputError

mpmath.mp.dps = 60


def _truth(q, p):
    q, p = mpmath.mpf(q), mpmath.mpf(p)
    first = q * mpmath.log(q / p) if q else mpmath.mpf(0)
    return first + ((1 - q) * mpmath.log((1 - q) / (1 - p)) if q != 1 else 0)


def _cases(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        q = rng.choice([rng.random(), 10 ** rng.uniform(-18, 0), 1 - 10 ** rng.uniform(-15, 0), 0.0])
        yield q, 10 ** rng.uniform(-12, 1)


def test_kl_against_multi_precision():
    for q, gap in _cases(2000, 0):
        p = min(q + gap * (1 - q), math.nextafter(1, 0))
        for a, b in ((q, p), (p, q)):
            if 0 < b < 1:
                assert binary_kl(a, b) == pytest.approx(float(_truth(a, b)), rel=1e-14), (a, b)


def test_edges():
    assert binary_kl(0.0, 0.0) == binary_kl(1.0, 1.0) == binary_kl(0.3, 0.3) == 0
    assert binary_kl(0.5, 1.0) == binary_kl(0.5, 0.0) == math.inf
    assert binary_kl(0.0, 0.25) == pytest.approx(-math.log(0.75))
    assert binary_kl(1.0, 0.25) == pytest.approx(-math.log(0.25))
    assert kl_inverse(1.0, 0.3) == kl_inverse(0.2, math.inf) == 1.0
    assert kl_inverse(0.2, 0.0) == 0.2
    assert kl_inverse(0.0, 0.5) == pytest.approx(-math.expm1(-0.5), rel=1e-12)


def _last_midpoint(q, c):
    """The usual implementation: bisect 50 times and return the last midpoint. Wrong on purpose."""
    low, high = q, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if binary_kl(q, middle) < c else (low, middle)
    return middle


def test_inverse_never_errs_inward():
    """kl(q || r) >= c for the returned r, in floating point and in exact arithmetic; the usual one fails often."""
    cases = list(_cases(1000, 1))
    failures = 0
    for q, c in cases:
        r = kl_inverse(q, c)
        assert q <= r <= 1
        if r < 1:
            assert binary_kl(q, r) >= c
            assert _truth(q, r) >= c
            below = math.nextafter(r, 0)  # and the next float below would not do
            assert below <= q or binary_kl(q, below) < c + 64 * math.ulp(c)
        naive = _last_midpoint(q, c)
        failures += naive < 1 and _truth(q, naive) < c
    assert failures > len(cases) / 10


def test_inverse_is_monotone():
    values = [kl_inverse(q / 10, c) for q in range(11) for c in (0.01,)]
    assert values == sorted(values)
    values = [kl_inverse(0.1, c / 10) for c in range(40)]
    assert values == sorted(values)


def test_pinsker():
    for q, c in _cases(200, 2):
        assert kl_inverse(q, c) <= q + math.sqrt(c / 2) + 1e-12


@pytest.mark.parametrize(("q", "c"), [(-0.1, 0.1), (1.1, 0.1), (math.nan, 0.1)])
def test_not_a_probability(q, c):
    with pytest.raises(InputError, match="is not a probability"):
        kl_inverse(q, c)
    with pytest.raises(InputError, match="is not a probability"):
        binary_kl(0.5, q)


@pytest.mark.parametrize("c", [-0.1, math.nan])
def test_negative_c(c):
    with pytest.raises(InputError, match="a relative entropy is at least 0"):
        kl_inverse(0.5, c)
