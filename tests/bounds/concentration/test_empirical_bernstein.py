"""Maurer and Pontil's inequality against many digits."""

import math
import random

import mpmath
import numpy as np
import pytest
import torch

from eigensam.bounds import empirical_bernstein, hoeffding
from eigensam.ground import InputError


def truth(mean, variance, n, delta, *, range_n=None):
    with mpmath.workdps(40):
        log = mpmath.log(2 / mpmath.mpf(delta))
        spread = mpmath.sqrt(2 * mpmath.mpf(variance) * log / n)
        return mean + spread + 7 * log / (3 * (n - 1) if range_n is None else range_n)


def is_nearest_above(value, exact):
    return value == 1 if exact >= 1 else math.nextafter(value, -1) < exact <= value


def cases(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        n = round(10 ** rng.uniform(0.31, 9))
        mean = rng.choice([rng.random(), 10 ** rng.uniform(-320, 0), 0.0])
        variance = rng.choice([0.0, rng.random(), 1.0]) * n / (n - 1) * mean * (1 - mean)
        yield mean, variance, n, rng.choice([rng.uniform(1e-9, 1), 10 ** rng.uniform(-99, -1)])


def test_least_float_above():
    caught = 0
    for mean, variance, n, delta in cases(2000, 0):
        value = empirical_bernstein(mean, variance, n, delta)
        exact = truth(mean, variance, n, delta)
        assert is_nearest_above(value, exact)
        if value < 1:  # wrong on purpose: rounded inward; 3n - 1 for 3 (n-1); delta paid once for two terms
            assert not is_nearest_above(math.nextafter(value, 0), exact)
            assert truth(mean, variance, n, delta, range_n=3 * n - 1) < exact
            assert truth(mean, variance, n, min(1, 2 * delta)) < exact
            caught += 1
    assert caught > 500


def test_losses():
    """From losses themselves, in floats; smaller than Hoeffding's bound where the variance is small."""
    losses = np.random.default_rng(0).beta(1, 20, 5000)
    expected = losses.mean() + np.sqrt(2 * losses.var(ddof=1) * np.log(40) / 5000) + 7 * np.log(40) / (3 * 4999)
    value = empirical_bernstein(losses.mean(), losses.var(ddof=1), 5000, 0.05)
    assert value == pytest.approx(expected, rel=1e-14)
    assert losses.mean() < value < hoeffding(losses.mean(), 5000, 0.05)
    narrow = torch.tensor(losses, dtype=torch.float32)
    assert empirical_bernstein(narrow.mean(), narrow.var(), torch.tensor(5000), 0.05) == pytest.approx(value, rel=1e-6)


def test_variance_of_errors():
    """0-1 losses have the largest variance that there is, which rounding must not make refused."""
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        errors = torch.tensor([0, 1] * 50 + [0, 0, 0], dtype=dtype)
        assert empirical_bernstein(errors.mean(), errors.var(), 103, 0.05) > 0.5
    assert empirical_bernstein(0.5, 0.5, 2, 0.9) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, 0.3, 1000, 0.05), r"variance = 0.3 is negative or more than losses in \[0, 1\] of mean 0.5 can have"),
        ((0.5, -0.1, 1000, 0.05), "variance = -0.1 is negative"),
        ((0.5, math.nan, 1000, 0.05), "variance = nan is negative or more"),
        ((0.5, math.inf, 1000, 0.05), "variance = inf is negative or more"),
        ((1.5, 0.1, 1000, 0.05), "mean = 1.5 is not a probability"),
        ((0.5, 0.1, 1, 0.05), "n = 1 is too small; need at least 2"),
        ((0.5, 0.1, 10, 1.0), r"delta = 1.0 does not lie in \(0, 1\)"),
        ((0.5, torch.ones(2), 10, 0.5), "variance = an array"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        empirical_bernstein(*arguments)
