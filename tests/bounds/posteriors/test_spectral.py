"""The spectral posterior: its rule, its divergence in closed form, and that rule is the best one for a quadratic."""

import math

import pytest
import torch

from eigensam.bounds import GaussianPrior, spectral_kl, spectral_posterior
from eigensam.ground import InputError

VALUES = torch.tensor([50.0, 3.0, 0.1, 0.0, -2.0], dtype=torch.float64)


def _vectors(k, d):
    generator = torch.Generator().manual_seed(0)
    return torch.linalg.qr(torch.randn(d, k, generator=generator, dtype=torch.float64)).Q.T


def test_rule():
    q = spectral_posterior(torch.zeros(9), 0.25, VALUES, _vectors(5, 9), 10.0)
    assert q.sigma == 0.5
    assert q.sigmas.tolist() == pytest.approx([(1 / (4 + 10 * max(x, 0))) ** 0.5 for x in VALUES.tolist()])


def _without_effective_dimension(variance, values, kappa):
    """The form often quoted. Wrong on purpose."""
    return sum(math.log1p(kappa * variance * max(x, 0)) for x in values.tolist()) / 2


@pytest.mark.parametrize(("variance", "kappa"), [(0.25, 10.0), (1e-3, 1e4), (1.0, 0.0), (4.0, 1e-3)])
def test_effective_dimension_is_the_divergence(variance, kappa, f64):
    mean = torch.randn(9, generator=torch.Generator().manual_seed(1), dtype=f64)
    q = spectral_posterior(mean, variance, VALUES, _vectors(5, 9), kappa)
    truth = q.kl(GaussianPrior(mean, variance))
    assert spectral_kl(variance, VALUES, kappa) == pytest.approx(truth, rel=1e-9, abs=1e-11)
    if kappa:
        assert abs(_without_effective_dimension(variance, VALUES, kappa) - truth) > 1e-6


def test_distance_adds(f64):
    q = spectral_posterior(torch.ones(9), 0.25, VALUES, _vectors(5, 9), 10.0)
    assert q.kl(GaussianPrior(torch.zeros(9), 0.25)) == pytest.approx(spectral_kl(0.25, VALUES, 10.0) + 18)


def test_best_for_a_quadratic(f64):
    """It minimises ``kappa/2 tr(H Sigma) + KL`` for ``H >= 0``: any other factor on its sigmas is worse."""
    values = VALUES.clamp(min=0)

    def cost(factor):
        sigmas = 0.5 * (1 + 2.5 * values).rsqrt() * factor
        ratios = sigmas.square() / 0.25
        return float((5 * values * sigmas.square()).sum() + (ratios - 1 - ratios.log()).sum() / 2)

    best = cost(torch.ones(5, dtype=f64))
    for index in range(5):
        for change in (0.9, 1.1):
            factor = torch.ones(5, dtype=f64)
            factor[index] = change
            assert cost(factor) > best + 1e-4


@pytest.mark.parametrize(
    ("variance", "values", "kappa", "message"),
    [
        (0.0, VALUES, 1.0, "prior_variance = 0.0 is not positive"),
        (1.0, VALUES, -1.0, "kappa = -1.0 is not a finite number of at least 0"),
        (1.0, VALUES, math.inf, "kappa = inf is not a finite number"),
        (1.0, VALUES * math.nan, 1.0, "eigenvalues has entries that are not finite"),
    ],
)
def test_refusals(variance, values, kappa, message):
    with pytest.raises(InputError, match=message):
        spectral_kl(variance, values, kappa)
    with pytest.raises(InputError, match=message):
        spectral_posterior(torch.zeros(9), variance, values, _vectors(5, 9), kappa)
