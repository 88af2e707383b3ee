"""KL against torch.distributions; the prior grid against brute force."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from eigensam.bounds import PriorGrid, gaussian_kl
from eigensam.landscapes import InputError


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


@pytest.mark.parametrize("delta", [0.05, 0.5])
@pytest.mark.parametrize(
    ("d", "s2", "distance"),
    [(1, 1e-3, 0.5), (1, 1e-6, 1e-4), (2, 1e-4, 1e-3), (10, 0.1, 0.0), (10_000, 1e-5, 50.0), (5, 500.0, 1.0)],
)
def test_best_prior_against_brute_force(d, s2, distance, delta):
    grid = PriorGrid()
    j, kl = grid.best(d, s2, distance, delta)
    cost = {
        i: gaussian_kl(d, s2, grid.variance(i), distance) - math.log(grid.confidence(i, delta)) for i in range(1, 600)
    }
    assert j == min(cost, key=cost.get)
    assert kl == gaussian_kl(d, s2, grid.variance(j), distance)


def test_confidences_add_up_to_delta():
    grid = PriorGrid()
    spent = sum(grid.confidence(j, 0.05) for j in range(1, 200_000))
    assert spent == pytest.approx(0.05, rel=1e-5)
    assert spent < 0.05


def test_refusals():
    with pytest.raises(InputError, match="need positive variances"):
        gaussian_kl(3, 0.0, 1.0, 1.0)
    for scale, density in ((0.0, 10.0), (1.0, 0.5), (math.inf, 10.0)):
        with pytest.raises(InputError, match="need scale > 0, density >= 1"):
            PriorGrid(scale, density)
