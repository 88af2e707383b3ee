"""Maurer's xi(n) against its definition and against an incomplete gamma function."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from eigensam.bounds import log_xi
from eigensam.bounds.concentration.xi import LARGEST_SUM, closed_form
from eigensam.ground import InputError


def definition(n):
    """``sum_k C(n, k) (k/n)^k (1-k/n)^(n-k)``, exact."""
    return Fraction(sum(math.comb(n, k) * k**k * (n - k) ** (n - k) for k in range(n + 1)), n**n)


def by_gamma(n):
    """``n!/n^n sum_(k<=n) n^k/k! = e^n n^-n Gamma(n+1, n)`` with 40 digits."""
    with mpmath.workdps(40 + len(str(n))):
        return mpmath.gammainc(n + 1, n) * mpmath.exp(n - n * mpmath.log(n))


def is_nearest_above(value, xi):
    with mpmath.workdps(40):
        return math.nextafter(value, 0) < mpmath.log(xi) <= value


@pytest.mark.parametrize("n", [*range(1, 30), 100, 257])
def test_definition(n):
    exact = definition(n)
    with mpmath.workdps(60):
        xi = mpmath.mpf(exact.numerator) / exact.denominator
        assert abs(xi / by_gamma(n) - 1) < mpmath.mpf(10) ** -35
    value = log_xi(n)
    assert is_nearest_above(value, xi)
    # Wrong on purpose: rounded inward, Ramanujan's Q(n) without the 1, one example less or more.
    for wrong in (math.nextafter(value, 0), math.log(math.exp(value) - 1), log_xi(n + 1), log_xi(max(1, n - 1))):
        assert wrong == value or not is_nearest_above(wrong, xi)


@pytest.mark.parametrize("n", [1000, 60_000, 10**6])
def test_many_examples(n):
    assert is_nearest_above(log_xi(n), by_gamma(n))


def test_expectation():
    """It is the expectation of exp(n kl(X/n || p)), for every p."""
    n, p = 30, 0.2
    total = mpmath.mpf(0)
    for k in range(n + 1):
        q = k / n
        kl = sum(a * mpmath.log(a / b) for a, b in ((q, p), (1 - q, 1 - p)) if a)
        total += mpmath.binomial(n, k) * p**k * (1 - p) ** (n - k) * mpmath.exp(n * kl)
    assert log_xi(n) == pytest.approx(float(mpmath.log(total)), rel=1e-13)


def test_between_known_bounds():
    """Maurer 2004: sqrt(n) <= xi(n) <= 2 sqrt(n) for n >= 8."""
    for n in [*range(8, 200), 1000, 10**6, 10**9, 10**30]:
        assert math.log(n) / 2 < log_xi(n) < math.log(2) + math.log(n) / 2


@pytest.mark.parametrize("n", [1, 2, 3, 10, 100, 5000])
def test_closed_form_is_above(n):
    """By less than 0.03/n; Ramanujan's difference is 8/(135 (n + 0.09...0.18)) more than 2/3."""
    excess = mpmath.mpf(closed_form(n).b) - by_gamma(n)
    robbins = mpmath.sqrt(mpmath.pi * n / 2) * mpmath.exp(mpmath.mpf(1) / (12 * n)) / (350 * mpmath.mpf(n) ** 3)
    assert 0 < excess < 4 / mpmath.mpf(135 * n) + robbins
    wrong = closed_form(n).b - 1  # Ramanujan's Q(n) in place of 1 + Q(n)
    assert not wrong > by_gamma(n)


def test_closed_form_takes_over():
    """Where it does it is too large by less than 1e-12."""
    excess = math.log(closed_form(LARGEST_SUM).b) - log_xi(LARGEST_SUM)
    assert -1e-15 < excess < 1e-12
    assert 0 < log_xi(LARGEST_SUM + 1) - log_xi(LARGEST_SUM) < 1e-7


def test_counts():
    assert log_xi(np.int32(100)) == log_xi(torch.tensor(100.0)) == log_xi(np.float16(100)) == log_xi(100)
    for n, message in ((0, "need at least 1"), (2.5, "is not a whole number"), (True, "is not one real number")):
        with pytest.raises(InputError, match=message):
            log_xi(n)
