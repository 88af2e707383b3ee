"""KL against torch.distributions and against multi-precision, which it is never below."""

import math
import random
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from eigensam.bounds import gaussian_kl
from eigensam.ground import InputError


@pytest.mark.parametrize(("s2", "prior"), [(0.5, 0.5), (1e-4, 2.0), (1e-30, 2.0), (3.0, 0.1), (1.0, 1.0 + 1e-9)])
def test_kl_against_torch(s2, prior):
    offset = torch.tensor([0.3, -1.0, 0.2], dtype=torch.float64)
    q = Normal(offset, torch.full((3,), math.sqrt(s2), dtype=torch.float64))
    p = Normal(torch.zeros(3, dtype=torch.float64), torch.full((3,), math.sqrt(prior), dtype=torch.float64))
    truth = kl_divergence(q, p).sum().item()
    assert gaussian_kl(3, s2, prior, offset.square().sum().item()) == pytest.approx(truth, rel=1e-9)


def test_best_continuous_prior_gives_the_logarithm_of_the_paper():
    """At s^2 = sigma^2 + |x-x0|^2/d the KL is (d/2) ln(1 + |x-x0|^2/(d sigma^2)), and it is the minimum."""
    d, s2, distance = 50, 0.01, 3.0
    best = s2 + distance / d
    kl = gaussian_kl(d, s2, best, distance)
    assert kl == pytest.approx(d / 2 * math.log1p(distance / (d * s2)))
    assert all(gaussian_kl(d, s2, best * f, distance) > kl for f in (0.9, 0.99, 1.01, 1.1))


def _truth(d, v, s2, distance):
    with mpmath.workdps(100):
        ratio = mpmath.mpf(v) / mpmath.mpf(s2)
        return (d * (ratio - 1 - mpmath.log(ratio)) + mpmath.mpf(distance) / s2) / 2


def _cases(count, seed):
    """Variances far apart, close, neighbours, equal; d to 10^9; distances from 0."""
    rng = random.Random(seed)
    for _ in range(count):
        v = 10 ** rng.choice([rng.uniform(-8, 2), rng.uniform(-300, 300)])
        s2 = rng.choice([v * 10 ** rng.uniform(-3, 3), v * (1 + 10 ** rng.uniform(-16, -2)), math.nextafter(v, 0), v])
        distance = rng.choice([0.0, 10 ** rng.uniform(-5, 3), v * 10 ** rng.uniform(-5, 5)])
        yield int(10 ** rng.uniform(0, 9)), v, s2, distance


def _nearest(d, v, s2, distance):
    """The same in plain floats, as it was before. Wrong on purpose."""
    gap = v / s2 - 1
    logarithm = math.log1p(gap) if abs(gap) < 0.5 else math.log(v) - math.log(s2)
    return 0.5 * (d * (gap - logarithm) + distance / s2)


def test_kl_is_the_least_float_above_the_truth():
    below = 0
    for case in _cases(300, 0):
        value, truth = gaussian_kl(*case), _truth(*case)
        assert value >= truth, case
        assert value == 0 == truth or math.nextafter(value, 0) < truth, case
        below += _nearest(*case) < truth
    assert below > 60  # plain floats


def test_kl_where_floats_end():
    assert gaussian_kl(1, 5e-324, 5e-324, 0.0) == 0.0
    assert gaussian_kl(3, 1e308, 1e-308, 0.0) == math.inf  # 1.5e616
    assert gaussian_kl(10**9, 1.0, 1.0, 5e-324) == 5e-324
    assert gaussian_kl(np.int64(10), np.float32(0.1), Fraction(1, 3), 1) > _truth(10, float(np.float32(0.1)), 1 / 3, 1)


@pytest.mark.parametrize(
    "arguments",
    [(3, 0.0, 1.0, 1.0), (3, 1.0, -1.0, 1.0), (3, 1.0, 1.0, -1e-9), (3, math.inf, 1.0, 1.0), (3, 1.0, math.nan, 1.0)],
)
def test_refusals(arguments):
    with pytest.raises(InputError, match="need positive variances"):
        gaussian_kl(*arguments)


@pytest.mark.parametrize("dim", [0, -1, 1.5, math.inf, math.nan, 2**61])
def test_refused_dimensions(dim):
    with pytest.raises(InputError, match="need dim >= 1, a whole number"):
        gaussian_kl(dim, 1.0, 1.0, 1.0)
