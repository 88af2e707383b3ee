"""The divergence is never below its value with 100 digits, and above it by no more than 1e-12; torch agrees."""

import random

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from eigensam.bounds import DiagonalPosterior, GaussianPrior, IsotropicPosterior, LayerwisePosterior
from eigensam.bounds.posteriors import independent_kl as module
from eigensam.ground import InputError

from .gaussian_truths import independent_truth


def _cases(count, seed):
    """Ratios of variances from far to neighbouring floats, at the seams of the formula too; float32 and float64."""
    rng = random.Random(seed)
    for _ in range(count):
        dtype = rng.choice([torch.float32, torch.float64])
        size = rng.choice([1, 1, 2, 7])
        scale = rng.choice([0.0, rng.uniform(-30, 30)] if dtype == torch.float64 else [0.0, rng.uniform(-9, 8)])
        sigma = [10**scale * rng.uniform(0.5, 2) for _ in range(size)]
        factor = rng.choice(
            [10 ** rng.uniform(-6, 6), 1 + 10 ** rng.uniform(-16, -1), 1 - 10 ** rng.uniform(-16, -1),
             1.0, 1 / 0.71 + rng.uniform(-1e-9, 1e-9), 1 / 1.41 + rng.uniform(-1e-9, 1e-9)]
        )  # fmt: skip
        sigmas = torch.tensor(sigma, dtype=dtype)
        variance = sigmas.double().square() * factor
        if dtype == torch.float32 and scale > -8:
            variance = variance.float().double()
        mean = torch.randn(size, dtype=torch.float64) * 10**scale * rng.choice([0, 1e-9, 1, 100])
        shift = rng.choice([0.0, 1.0]) * mean * (1 + 1e-9)
        yield mean.to(dtype), sigmas, shift.to(dtype), variance


def _gaps(kl, count=3000):
    torch.manual_seed(0)
    for mean, sigmas, start, variance in _cases(count, 0):
        value = kl(DiagonalPosterior(mean, sigmas), GaussianPrior(start, variance))
        truth = independent_truth(*(x.double().tolist() for x in (mean, sigmas, start, variance)))
        yield value, truth


def test_outward_and_close():
    for value, truth in _gaps(lambda q, p: q.kl(p)):
        assert value >= truth
        assert value <= truth * (1 + 1e-12)


def _torch_kl(q, p):
    """Torch's formula in float64. Wrong on purpose: it is below the truth half of the time."""
    mine, theirs = Normal(q.mean, q.sigmas), Normal(p.mean, p.variance.sqrt())
    return kl_divergence(mine, theirs).sum().item()


def test_rounding_to_nearest_is_caught():
    assert sum(value < truth for value, truth in _gaps(_torch_kl, 300)) > 60


def test_without_slack_it_is_below(monkeypatch):
    """Wrong on purpose: the same sum, without what pays for its rounding."""
    monkeypatch.setattr(module, "_SLACK", 1 - 2.0**-50)
    assert sum(value < truth for value, truth in _gaps(lambda q, p: q.kl(p), 300)) > 60


def test_against_torch_in_many_dimensions(f64):
    d = 2 * 2**16 + 5
    generator = torch.Generator().manual_seed(0)
    mean, start = torch.randn(2, d, generator=generator, dtype=f64)
    sigmas, scales = torch.rand(2, d, generator=generator, dtype=f64) + 0.1
    prior = GaussianPrior(start, scales.square())
    truth = kl_divergence(Normal(mean, sigmas), Normal(start, scales)).sum().item()
    assert DiagonalPosterior(mean, sigmas).kl(prior) == pytest.approx(truth, rel=1e-11)
    one = GaussianPrior(start, 0.25)
    truth = kl_divergence(Normal(mean, 0.3), Normal(start, 0.5)).sum().item()
    assert IsotropicPosterior(mean, 0.3).kl(one) == pytest.approx(truth, rel=1e-11)
    sizes = [5, 2**16, 2**16]
    layers = LayerwisePosterior(mean, torch.tensor([0.1, 0.2, 0.3], dtype=f64), sizes)
    every = torch.cat([torch.full((n,), s, dtype=f64) for n, s in zip(sizes, (0.1, 0.2, 0.3), strict=True)])
    assert layers.kl(prior) == DiagonalPosterior(mean, every).kl(prior)


def test_float32_sum_is_caught(f64):
    """Wrong on purpose: 10^5 terms in float32 are off by far more than 1e-11."""
    sigmas = torch.full((10**5,), 0.3)
    value = DiagonalPosterior(torch.zeros(10**5), sigmas).kl(GaussianPrior(torch.zeros(10**5), 1.0))
    naive = kl_divergence(Normal(0.0, sigmas), Normal(0.0, 1.0)).cumsum(0)[-1].item()
    assert abs(naive / value - 1) > 1e-9


def test_edges():
    zero = torch.zeros(3)
    assert IsotropicPosterior(zero, 0.5).kl(GaussianPrior(zero, 0.25)) == 0
    near = IsotropicPosterior(torch.full((1,), 5e-324, dtype=torch.float64), 1e70)
    tiny = near.kl(GaussianPrior(torch.zeros(1), 1e140))  # 1e70^2 is no float
    assert 0 < independent_truth([5e-324], [1e70], [0.0], [1e140]) <= tiny < 1e-32
    underflows = torch.full((1,), 1e-170, dtype=torch.float64)
    truth = independent_truth([1e-170], [1.0], [0.0], [1.0])
    assert truth <= IsotropicPosterior(underflows, 1.0).kl(GaussianPrior(torch.zeros(1), 1.0)) < 1e-190
    far = torch.full((1,), 1e70, dtype=torch.float64)
    for sigma, variance in ((1e70, 1e-140), (1e-70, 1e140), (1e-70, 1e-140)):
        truth = independent_truth(far.tolist(), [sigma], (-far).tolist(), [variance])
        assert truth <= IsotropicPosterior(far, sigma).kl(GaussianPrior(-far, variance)) <= truth * (1 + 1e-12)


def test_refused_prior():
    with pytest.raises(InputError, match="the prior has 2 parameters, the posterior 3"):
        IsotropicPosterior(torch.zeros(3), 1.0).kl(GaussianPrior(torch.zeros(2), 1.0))
