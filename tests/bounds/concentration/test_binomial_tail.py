"""Clopper-Pearson against exact tails: the nearest float outside, for 10^4 inputs; and against other libraries."""

import math
import random
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from eigensam.bounds import clopper_pearson
from eigensam.bounds.concentration import binomial_tail
from eigensam.ground import InputError

SIDES = ("upper", "lower")


def exact_excess(k, n, p, side, delta):
    """A whole multiple of ``P(X <= k) - delta``, or ``P(X >= k) - delta``: every term, in whole numbers."""
    a, whole = p.as_integer_ratio()
    b = whole - a
    terms = range(k + 1) if side == "upper" else range(k, n + 1)
    total = sum(math.comb(n, i) * a**i * b ** (n - i) for i in terms)
    numerator, denominator = delta.as_integer_ratio()
    return total * denominator - numerator * whole**n


def long_excess(k, n, p, side, delta):
    """The same with 60 digits, by mpmath's gamma function, until terms no longer count: from where terms fall."""
    with mpmath.workdps(60):
        p, fall = mpmath.mpf(p), (k <= n * p) == (side == "upper")
        first, step = k, -1 if side == "upper" else 1
        if not fall:  # sum what is missing
            first, step = k - step, -step
        log_term = mpmath.loggamma(n + 1) - mpmath.loggamma(first + 1) - mpmath.loggamma(n - first + 1)
        term = mpmath.exp(log_term + first * mpmath.log(p) + (n - first) * mpmath.log1p(-p))
        odds, total, i = p / (1 - p), mpmath.mpf(0), first
        while 0 <= i <= n and (total == 0 or term > total * mpmath.mpf(10) ** -45):
            total += term
            term *= i / ((n - i + 1) * odds) if step < 0 else (n - i) * odds / (i + 1)
            i += step
        return (total if fall else 1 - total) - mpmath.mpf(delta)


def is_nearest_outside(k, n, delta, r, side, excess=exact_excess):
    """Whether the tail at ``r`` is at most ``delta``, and at the float before it is not (or equals it)."""
    end = 1.0 if side == "upper" else 0.0
    inner = math.nextafter(r, 1 - end)
    return (r == end or excess(k, n, r, side, delta) <= 0) and (
        r == 1 - end or inner == 1 - end or excess(k, n, inner, side, delta) >= 0
    )


def cases(count, seed, sizes):
    """k at and near both ends and anywhere; delta usual, tiny, and next to 1."""
    rng = random.Random(seed)
    for _ in range(count):
        n = rng.choice(sizes)
        k = rng.choice([0, n, min(1, n), n - 1, rng.randint(0, n), rng.randint(0, n), rng.randint(0, max(1, n // 20))])
        delta = rng.choice([rng.random(), 10 ** rng.uniform(-99.9, 0), 1 - 10 ** rng.uniform(-15, 0), 0.05, 0.5])
        if 1e-100 < delta < 1:
            yield k, n, delta, rng.choice(SIDES)


@pytest.mark.parametrize("seed", range(5))
def test_nearest_float_outside(seed):
    """10^4 inputs in exact arithmetic."""
    for k, n, delta, side in cases(2000, seed, [1, 2, 3, *range(4, 30)]):
        r = clopper_pearson(k, n, delta, side=side)
        assert is_nearest_outside(k, n, delta, r, side), (k, n, delta, side)


def test_no_other_float_is_right():
    """Wrong on purpose: a float further in or out, one error less, half the confidence."""
    for k, n, delta, side in cases(200, 9, [2, 3, 10, 25]):
        r = clopper_pearson(k, n, delta, side=side)
        if not 0 < r < 1 or exact_excess(k, n, r, side, delta) == 0 or r < 1e-300:
            continue
        towards = 0 if side == "upper" else 1
        inward, outward = math.nextafter(r, towards), math.nextafter(r, 1 - towards)
        if exact_excess(k, n, inward, side, delta) > 0:  # else a tie
            assert not is_nearest_outside(k, n, delta, inward, side)
            assert not is_nearest_outside(k, n, delta, outward, side)
        fewer = k - 1 if side == "upper" else k + 1
        if 0 <= fewer <= n:
            assert not is_nearest_outside(k, n, delta, clopper_pearson(fewer, n, delta, side=side), side)
        if delta < 0.1:
            assert not is_nearest_outside(k, n, delta, clopper_pearson(k, n, 2 * delta, side=side), side)


def test_many_examples():
    """Sizes at which Stirling's series takes over; tails of thousands of terms."""
    for k, n, delta, side in cases(100, 0, [300, 513, 514, 515, 1000, 5000, 30_000]):
        r = clopper_pearson(k, n, delta, side=side)
        if 0 < r < 1:
            assert is_nearest_outside(k, n, delta, r, side, long_excess), (k, n, delta, side)


@pytest.mark.parametrize(
    ("k", "n", "delta"), [(130_000, 10**7, 0.05), (99_000, 10**5, 1e-50), (5 * 10**6, 10**7, 0.01), (7, 10**12, 0.05)]
)
def test_huge_samples(k, n, delta):
    for side in SIDES:
        r = clopper_pearson(k, n, delta, side=side)
        assert is_nearest_outside(k, n, delta, r, side, long_excess)


def test_sum_of_ratios_in_few_bits():
    """The error that is accounted for holds the exact sum at 12 bits; wrong on purpose: what rounding gives, alone."""
    rng = random.Random(0)
    rounded_only = 0
    for _ in range(300):
        n = rng.randint(1, 60)
        j, a, b = rng.randint(0, n), rng.randint(1, 100), rng.randint(1, 100)
        if (n - j) * a > (j + 1) * b:
            assert binomial_tail._ratios(n, j, a, b, 12) is None
            continue
        total, lacks = binomial_tail._ratios(n, j, a, b, 12)
        first = math.comb(n, j) * a**j * b ** (n - j)
        exact = Fraction(2**12 * sum(math.comb(n, i) * a**i * b ** (n - i) for i in range(j, n + 1)), first)
        assert total <= exact <= total + lacks
        rounded_only += exact > total
    assert rounded_only > 100


@pytest.mark.parametrize("guess", [0.0, 5e-324, 0.02, 0.9, 1.0])
def test_a_wrong_guess_costs_time_alone(guess, monkeypatch):
    arguments = [(3, 100, 0.05, "upper"), (3, 100, 0.05, "lower"), (40, 100, 0.9, "upper"), (0, 7, 0.6, "upper")]
    expected = [clopper_pearson(k, n, delta, side=side) for k, n, delta, side in arguments]
    monkeypatch.setattr(binomial_tail._Inversion, "_guess", lambda self: guess)
    assert [clopper_pearson(k, n, delta, side=side) for k, n, delta, side in arguments] == expected


def test_quantile_of_a_beta_variable():
    """What statistical packages compute, good to about ten digits."""
    for k, n, delta, side in cases(300, 7, [1, 5, 60, 1000, 10**5]):
        if 1e-12 < delta < 1 - 1e-12:
            r = clopper_pearson(k, n, delta, side=side)
            if side == "upper":
                assert r == (1 if k == n else pytest.approx(stats.beta.isf(delta, k + 1, n - k), rel=1e-8))
            else:
                assert r == (0 if k == 0 else pytest.approx(stats.beta.ppf(delta, k, n - k + 1), rel=1e-8))


def test_closed_forms():
    assert clopper_pearson(5, 5, 0.05) == clopper_pearson(1, 1, 0.9) == 1.0
    assert clopper_pearson(0, 5, 0.05, side="lower") == 0.0
    for n in (1, 7, 1000, 10**6):
        assert clopper_pearson(0, n, 0.05) == pytest.approx(-math.expm1(math.log(0.05) / n), rel=1e-15)
        assert clopper_pearson(n, n, 0.05, side="lower") == pytest.approx(0.05 ** (1 / n), rel=1e-15)
    assert clopper_pearson(0, 1, 1.1e-100) == 1.0
    # A tie, P(X <= 0) = delta at a float, is beyond proof: one float further out.
    assert clopper_pearson(0, 1, 0.25) == math.nextafter(0.75, 1)


def test_monotone():
    bounds = [clopper_pearson(k, 50, 0.05) for k in range(51)]
    assert bounds == sorted(bounds)
    bounds = [clopper_pearson(3, 50, delta) for delta in (0.9, 0.6, 0.5, 0.4, 0.05, 1e-10, 1e-90)]
    assert bounds == sorted(bounds)
    bounds = [clopper_pearson(n // 10, n, 0.05) for n in (10, 100, 1000, 10_000)]
    assert bounds == sorted(bounds, reverse=True)
    for k in range(51):
        assert clopper_pearson(k, 50, 0.05, side="lower") <= k / 50 <= clopper_pearson(k, 50, 0.05)


def test_scalars_of_any_type():
    expected = clopper_pearson(3, 100, float(np.float32(0.05)))
    for k in (3, 3.0, np.int8(3), np.float16(3), torch.tensor(3), torch.tensor(3.0, dtype=torch.bfloat16), Fraction(3)):
        for n in (100, np.uint8(100), torch.tensor(100.0), Decimal(100)):
            assert clopper_pearson(k, n, np.float32(0.05)) == clopper_pearson(k, n, torch.tensor(0.05)) == expected
    assert type(clopper_pearson(np.int64(3), torch.tensor(9), np.float64(0.1))) is float
    below = float(Fraction(1, 30)) if Fraction(float(Fraction(1, 30))) <= Fraction(1, 30) else None
    below = below or math.nextafter(1 / 30, 0)
    assert clopper_pearson(3, 100, Fraction(1, 30)) == clopper_pearson(3, 100, below)


def test_different_probabilities_at_the_ends():
    """With one success, or one error, at most n (1-p) replaces 1 - p^n."""
    for n in (2, 10, 1000):
        last = clopper_pearson(n - 1, n, 0.05, identical=False)
        assert Fraction(last) >= 1 - Fraction(0.05) / n > Fraction(math.nextafter(last, 0))
        assert last > clopper_pearson(n - 1, n, 0.05)
        first = clopper_pearson(1, n, 0.05, side="lower", identical=False)
        assert Fraction(first) <= Fraction(0.05) / n < Fraction(math.nextafter(first, 1))
        assert first < clopper_pearson(1, n, 0.05, side="lower")
    for k in range(9):
        assert clopper_pearson(k, 10, 0.05, identical=False) == clopper_pearson(k, 10, 0.05)
        lower = clopper_pearson(10 - k, 10, 0.05, side="lower", identical=False)
        assert lower == clopper_pearson(10 - k, 10, 0.05, side="lower")
    assert clopper_pearson(10, 10, 0.05, identical=False) == 1.0
    assert clopper_pearson(0, 10, 0.05, side="lower", identical=False) == 0.0


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 2, 0.05), {}, "errors = 3 are more than the n = 2 examples"),
        ((-1, 2, 0.05), {}, "errors = -1 is too small; need at least 0"),
        ((0, 0, 0.05), {}, "n = 0 is too small; need at least 1"),
        ((0.5, 2, 0.05), {}, "errors = 0.5 is not a whole number"),
        ((1, 2.5, 0.05), {}, "n = 2.5 is not a whole number"),
        ((True, 2, 0.05), {}, "errors = True is not one real number"),
        ((1, np.array([2, 3]), 0.05), {}, r"n = an array of shape \(2,\) is not one real number"),
        ((0, 10**12 + 1, 0.05), {}, r"more than the 10\^12 whose tail can be added up; use kl_inverse"),
        ((1, 2, 0.0), {}, r"delta = 0.0 does not lie in \(0, 1\)"),
        ((1, 2, 1.0), {}, r"delta = 1.0 does not lie in \(0, 1\)"),
        ((1, 2, math.nan), {}, r"delta = nan does not lie in \(0, 1\)"),
        ((1, 2, 0.05), {"side": "both"}, "unknown side 'both'; choose one of: upper, lower"),
        ((1, 2, 0.3), {"identical": False}, "delta = 0.3 is above 1/4"),
    ],
)
def test_refusals(arguments, options, message):
    with pytest.raises(InputError, match=message):
        clopper_pearson(*arguments, **options)
