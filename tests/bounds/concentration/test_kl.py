"""The binary relative entropy against multi-precision, and an inverse that is the nearest float on the safe side."""

import math
import random
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from eigensam.bounds import binary_kl, kl_inverse
from eigensam.ground import InputError


def _truth(q, p):
    """``kl(q || p)`` with 60 digits after all that cancel."""
    if q == p or p in (0, 1):
        return mpmath.mpf(0) if q == p else mpmath.inf
    with mpmath.workdps(60 - int(2.2 * math.log10(min(x for x in (q, p, abs(p - q)) if x > 0)))):
        q, p = mpmath.mpf(q), mpmath.mpf(p)
        first = q * mpmath.log(q / p) if q else mpmath.mpf(0)
        return first + ((1 - q) * mpmath.log((1 - q) / (1 - p)) if q != 1 else 0)


def _cases(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        q = rng.choice([rng.random(), 10 ** rng.uniform(-18, 0), 1 - 10 ** rng.uniform(-15, 0), 0.0])
        yield q, 10 ** rng.uniform(-12, 1)


def _hard_cases(count, seed):
    """q subnormal, tiny, ordinary, next to 1; c tiny, huge, and such that the answer lies a few floats from q."""
    rng = random.Random(seed)
    special = [0.0, 1.0, 0.5, 5e-324, 1e-310, 2.0**-1022, 1 - 2.0**-53, math.nextafter(0.5, 1)]
    for _ in range(count):
        q = rng.choice([rng.random(), 10 ** rng.uniform(-323, 0), 1 - 10 ** rng.uniform(-16, 0), rng.choice(special)])
        c = rng.choice([10 ** rng.uniform(-12, 1), 10 ** rng.uniform(-323, 3), None, None])
        if c is None:  # near the divergence of a few floats further on
            p = q
            for _ in range(rng.randint(1, 20)):
                p = math.nextafter(p, rng.choice([0, 1]))
            c = binary_kl(q, p) if q != p and 0 < p < 1 else 1e-9
            c = rng.choice([c, math.nextafter(c, 0)])
        yield q, c


def _is_nearest_outside(q, c, r, side):
    """Whether r reaches c and its neighbour towards q does not, in many digits."""
    end = 1.0 if side == "upper" else 0.0
    inner = math.nextafter(r, q)
    return (r == end or _truth(q, r) >= c) and (r == q or inner == q or _truth(q, inner) < c)


def test_kl_is_the_nearest_float():
    for q, gap in _cases(200, 0):
        p = min(q + gap * (1 - q), math.nextafter(1, 0))
        for a, b in ((q, p), (p, q)):
            if 0 < b < 1:
                assert binary_kl(a, b) == float(_truth(a, b)), (a, b)
    for q, c in _hard_cases(100, 5):
        p = kl_inverse(q, min(c, 1.0))
        truth = _truth(q, p)
        assert binary_kl(q, p) == (math.inf if truth == mpmath.inf else pytest.approx(float(truth), rel=1e-15))


def test_edges():
    assert binary_kl(0.0, 0.0) == binary_kl(1.0, 1.0) == binary_kl(0.3, 0.3) == 0
    assert binary_kl(0.5, 1.0) == binary_kl(0.5, 0.0) == binary_kl(0, 1) == binary_kl(1, 0) == math.inf
    assert binary_kl(0.0, 0.25) == pytest.approx(-math.log(0.75))
    assert binary_kl(1.0, 0.25) == pytest.approx(-math.log(0.25))
    assert kl_inverse(1.0, 0.3) == kl_inverse(0.2, math.inf) == 1.0
    assert kl_inverse(0.0, 0.3, side="lower") == kl_inverse(0.2, math.inf, side="lower") == 0.0
    assert kl_inverse(0.2, 0.0) == kl_inverse(0.2, 0.0, side="lower") == 0.2
    assert kl_inverse(0.0, 0.5) == pytest.approx(-math.expm1(-0.5), rel=1e-15)
    assert kl_inverse(1.0, 0.5, side="lower") == pytest.approx(math.exp(-0.5), rel=1e-15)
    assert kl_inverse(0.0, 5e-324) == 5e-324
    assert kl_inverse(0.5, 5e-324) == math.nextafter(0.5, 1)
    assert kl_inverse(0.5, 5e-324, side="lower") == math.nextafter(0.5, 0)
    assert kl_inverse(0.0, 1e308) == 1.0


@pytest.mark.parametrize("q", [5e-324, 1e-310, 2.0**-1074 * 7, 1e-300])
def test_subnormal_losses(q):
    """kl(q || p) is -ln(1-p) but for 1e-300: the answer is 1 - 1/e, not NaN taken for a large value."""
    assert kl_inverse(q, 1.0) == pytest.approx(1 - math.exp(-1), rel=1e-15)
    assert binary_kl(q, 0.5) == pytest.approx(math.log(2), rel=1e-15)
    assert kl_inverse(q, 1.0, side="lower") == 0.0


def _last_midpoint(q, c):
    """The usual implementation: bisect 50 times and return the last midpoint. Wrong on purpose."""
    low, high = q, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _truth(q, middle) < c else (low, middle)
    return middle


def test_inverse_never_errs_inward():
    """kl(q || r) >= c for the returned r, in floats and in exact arithmetic; the usual one fails often."""
    failures = 0
    for q, c in _cases(100, 1):
        r = kl_inverse(q, c)
        assert q <= r <= 1
        assert binary_kl(q, r) >= c
        assert _is_nearest_outside(q, c, r, "upper"), (q, c)
        assert _is_nearest_outside(q, c, kl_inverse(q, c, side="lower"), "lower"), (q, c)
        naive = _last_midpoint(q, c)
        failures += naive < 1 and _truth(q, naive) < c
    assert failures > 10


def test_inverse_at_the_edges_of_floats():
    """The same where numbers are subnormal, next to 1, or the answer next to q; a float away it is not right."""
    for q, c in _hard_cases(150, 2):
        for side, end in (("upper", 1.0), ("lower", 0.0)):
            r = kl_inverse(q, c, side=side)
            assert _is_nearest_outside(q, c, r, side), (q, c, side)
            if r not in (q, end) and c > 0:
                assert not _is_nearest_outside(q, c, math.nextafter(r, q), side)
                assert not _is_nearest_outside(q, c, math.nextafter(r, end), side)


def test_real_scalars_of_any_type():
    """A narrow float is a float64 exactly; what no float64 holds moves the result outward."""
    rng = np.random.default_rng(0)
    for q, c in rng.random((40, 2), dtype=np.float32):
        expected = kl_inverse(float(q), float(c))
        assert kl_inverse(q, c) == kl_inverse(torch.tensor(q), torch.tensor(c)) == expected
        assert type(kl_inverse(q, c)) is float
        assert _truth(float(q), expected) >= float(c)
    assert kl_inverse(np.float16(0.1), torch.tensor(0.5, dtype=torch.bfloat16)) == kl_inverse(
        float(np.float16(0.1)), 0.5
    )
    assert kl_inverse(0, np.int64(1)) == kl_inverse(np.longdouble(0), 1) == kl_inverse(np.array(0.0), 1.0)
    for q in (Fraction(1, 3), Decimal(1) / 3, Fraction(2, 3), Decimal(2) / 3):
        above = min(x for x in (float(q), math.nextafter(float(q), 1)) if Fraction(x) >= Fraction(q))
        assert kl_inverse(q, 0.2) == kl_inverse(above, 0.2)
        assert kl_inverse(q, 0.0, side="lower") == math.nextafter(above, 0)
    assert kl_inverse(0.3, 10**400) == 1.0


def _as_given(value, kind, rng):
    """The value as someone else's scalar, and that exactly."""
    if kind == "fraction":
        fraction = min(Fraction(1), Fraction(value) * Fraction(rng.randint(10**9, 10**9 + 9), 10**9 + 7))
        return fraction, fraction
    if kind == "decimal":
        decimal = min(Decimal(1), Decimal(value) / Decimal(3)) if value < 1 else Decimal(1)
        return decimal, Fraction(decimal)
    scalar = {
        "float": lambda: value,
        "float64": lambda: np.float64(value),
        "float32": lambda: np.float32(value),
        "float16": lambda: np.float16(value),
        "tensor": lambda: torch.tensor(value, dtype=torch.float64),
        "bfloat16": lambda: torch.tensor(value, dtype=torch.bfloat16),
        "array": lambda: np.array(value),
    }[kind]()
    return scalar, Fraction(float(scalar))


def _exact(fraction):
    return mpmath.mpf(fraction.numerator) / fraction.denominator


def _reaches(q, p, c):
    """Whether ``kl(q || p) >= c`` for fractions, with 30 digits after all that cancel."""
    if q == p or p in (0, 1):
        return q != p or c == 0
    digits = 30 - int(2.2 * sum(min(0, math.log10(x.numerator) - math.log10(x.denominator)) for x in (abs(p - q),)))
    for x in (q, p, 1 - p, c):
        if x:
            digits += max(0, int(math.log10(x.denominator) - math.log10(x.numerator)))
    with mpmath.workdps(digits):
        a, b = _exact(q), _exact(p)
        kl = (a * mpmath.log(a / b) if q else 0) + ((1 - a) * mpmath.log((1 - a) / (1 - b)) if q != 1 else 0)
        return kl >= _exact(c)


@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_inputs(seed):
    """Scalars of all kinds, subnormal and others: outward of their exact values, by less than 1e-12."""
    rng = random.Random(1000 + seed)
    kinds = ["float", "float64", "float32", "float16", "tensor", "bfloat16", "array", "fraction", "decimal"]
    inward = 0
    for q, c in _hard_cases(1000, 100 + seed):
        (q, exact_q), (c, exact_c) = (_as_given(x, rng.choice(kinds), rng) for x in (q, min(c, 60_000.0)))
        side = rng.choice(["upper", "lower"])
        end = int(side == "lower")
        r = kl_inverse(q, c, side=side)
        assert r == 1 - end or _reaches(exact_q, Fraction(r), exact_c), (q, c, side)
        nearer = Fraction(r) + (1 if end else -1) * min(
            Fraction(1, 10**12), max(Fraction(r), Fraction(1, 10**300)) / 10**12
        )
        if (nearer - exact_q) * (-1 if end else 1) > 0:
            assert not _reaches(exact_q, nearer, exact_c), (q, c, side)
            inward += 1
    assert inward > 300


def test_inverse_is_monotone():
    for side in ("upper", "lower"):
        values = [kl_inverse(q / 10, 0.01, side=side) for q in range(11)]
        assert values == sorted(values)
    values = [kl_inverse(0.1, c / 10) for c in range(40)]
    assert values == sorted(values)


def test_pinsker():
    for q, c in _cases(100, 2):
        assert kl_inverse(q, c) <= q + math.sqrt(c / 2) + 1e-12


@pytest.mark.parametrize(
    ("q", "c"),
    [(-0.1, 0.1), (1.1, 0.1), (math.nan, 0.1), (-5e-324, 0.1), (1 + 2**-52, 0), (Fraction(10**30 + 1, 10**30), 1)],
)
def test_not_a_probability(q, c):
    for side in ("upper", "lower"):
        with pytest.raises(InputError, match="is not a probability"):
            kl_inverse(q, c, side=side)
    with pytest.raises(InputError, match="is not a probability"):
        binary_kl(0.5, q)


@pytest.mark.parametrize("c", [-0.1, math.nan, -5e-324, np.float32("nan"), torch.tensor(math.nan), Decimal("nan")])
def test_negative_c(c):
    with pytest.raises(InputError, match="a relative entropy is at least 0"):
        kl_inverse(0.5, c)


def test_unknown_side():
    with pytest.raises(InputError, match="unknown side 'left'; choose one of: upper, lower"):
        kl_inverse(0.5, 0.1, side="left")
