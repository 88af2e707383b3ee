"""Hoeffding's inequality against many digits."""

import math
import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from eigensam.bounds import hoeffding, kl_inverse
from eigensam.ground import InputError


def truth(mean, n, delta):
    with mpmath.workdps(40):
        return mpmath.mpf(mean) + mpmath.sqrt(-mpmath.log(mpmath.mpf(delta)) / (2 * n))


def is_nearest_above(value, exact):
    return value == 1 if exact >= 1 else math.nextafter(value, -1) < exact <= value


def cases(count, seed):
    rng = random.Random(seed)
    for _ in range(count):
        delta = rng.choice([rng.random(), 10 ** rng.uniform(-99, 0), 1 - 10 ** rng.uniform(-15, 0)])
        mean = rng.choice([rng.random(), 10 ** rng.uniform(-320, 0), 0.0, 1.0])
        yield mean, round(10 ** rng.uniform(0, 12)), min(delta, math.nextafter(1, 0))


def test_least_float_above():
    for mean, n, delta in cases(2000, 0):
        value = hoeffding(mean, n, delta)
        assert is_nearest_above(value, truth(mean, n, delta))
        if value < 1:  # wrong on purpose: rounded inward
            assert not is_nearest_above(math.nextafter(value, 0), truth(mean, n, delta))


def test_floats_and_the_relative_entropy():
    """A formula in floats, and Pinsker's inequality."""
    for mean, n, delta in cases(200, 1):
        value = hoeffding(mean, n, delta)
        assert value == pytest.approx(min(1, mean + math.sqrt(-math.log(delta) / (2 * n))), rel=1e-9)
        assert kl_inverse(mean, -math.log(delta) / n * (1 - 1e-9)) <= value


def test_scalars_of_any_type():
    expected = hoeffding(0.25, 100, float(np.float32(0.1)))
    assert hoeffding(torch.tensor(0.25), np.int64(100), np.float32(0.1)) == expected
    assert hoeffding(np.float16(0.25), torch.tensor(100), torch.tensor(0.1)) == expected
    third = math.nextafter(1 / 3, 1) if Fraction(1 / 3) < Fraction(1, 3) else 1 / 3
    assert hoeffding(Fraction(1, 3), 100, 0.1) == hoeffding(third, 100, 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.1, 10, 0.05), "mean = 1.1 is not a probability; divide the loss by its upper bound"),
        ((-5e-324, 10, 0.05), "is not a probability"),
        ((math.nan, 10, 0.05), "mean = nan is not a probability"),
        ((torch.tensor([0.1]), 10, 0.05), "is not one real number"),
        ((0.1, 0, 0.05), "n = 0 is too small; need at least 1"),
        ((0.1, 10.5, 0.05), "n = 10.5 is not a whole number"),
        ((0.1, 10, 0), r"delta = 0 does not lie in \(0, 1\)"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        hoeffding(*arguments)
