"""Divergence against dense matrices with 60 digits, for the vectors as they are; samples have that covariance."""

import mpmath
import pytest
import torch

from eigensam.bounds import GaussianPrior, LowRankPosterior
from eigensam.ground import InputError

from .gaussian_truths import dense_truth


def _orthonormal(k, d, generator, dtype=torch.float64):
    return torch.linalg.qr(torch.randn(d, k, generator=generator, dtype=torch.float64)).Q.T.contiguous().to(dtype)


def _dense(q):
    """``A = sigma (I + V^T D V)`` of the floats that are stored."""
    with mpmath.workdps(60):
        v = mpmath.matrix(q.vectors.double().tolist())
        stretch = mpmath.diag([mpmath.mpf(x) for x in q.stretches.tolist()])
        return mpmath.mpf(q.sigma) * (mpmath.eye(q.dim) + v.T * stretch * v)


def _cases(count):
    generator = torch.Generator().manual_seed(0)
    for index in range(count):
        d = 4 + index % 7
        k = 1 + index % min(d, 4)
        dtype = torch.float32 if index % 2 else torch.float64
        sigma = float(10 ** (torch.rand(1, generator=generator) * 4 - 3))
        ratios = 10 ** (torch.rand(k, generator=generator, dtype=torch.float64) * 4 - 3)
        mean, start = torch.randn(2, d, generator=generator, dtype=torch.float64) * sigma
        variance = sigma**2 * (torch.rand(d, generator=generator, dtype=torch.float64) + 0.5)
        prior = GaussianPrior(start if index % 3 else mean, variance if index % 5 else sigma**2)
        yield LowRankPosterior(mean, sigma, _orthonormal(k, d, generator, dtype), sigma * ratios), prior


def _truth(q, prior):
    return dense_truth(q.mean.tolist(), _dense(q), prior.mean.tolist(), prior.variance.expand(q.dim).tolist())


def test_divergence_against_dense_matrices():
    for q, prior in _cases(200):
        value, truth = q.kl(prior), _truth(q, prior)
        assert value >= truth
        if q.vectors.dtype == torch.float64:
            assert value <= truth * (1 + 1e-12) + 1e-10
        else:
            assert value <= truth + 1e-3


def _as_if_orthonormal(q, prior):
    """Wrong on purpose: ``V V^T = I`` is believed."""
    from eigensam.bounds import IsotropicPosterior

    base = IsotropicPosterior(q.mean, q.sigma).kl(prior)
    h = ((q.vectors.double() / prior.variance) * q.vectors.double()).sum(1)
    ratios = 1 + q.stretches
    return base + float((q.sigma**2 * (ratios**2 - 1) * h).sum() / 2 - ratios.log().sum())


def test_believing_in_orthonormal_floats_is_caught():
    cases = [(q, p) for q, p in _cases(60) if q.vectors.dtype == torch.float32]
    assert sum(_as_if_orthonormal(q, p) < _truth(q, p) for q, p in cases) > 5


def test_what_second_order_costs(f64):
    """Rows that are off by 3e-4 are still allowed; without the square of what they lack the value is too small."""
    rows = torch.eye(4, dtype=f64)[:2]
    rows[0, 1] = rows[1, 0] = 3e-4
    q = LowRankPosterior(torch.zeros(4), 1.0, rows, torch.full((2,), 0.01, dtype=f64))
    prior = GaussianPrior(torch.zeros(4), 1.0)
    value, truth = q.kl(prior), _truth(q, prior)
    assert truth <= value <= truth + 2e-3
    assert _as_if_orthonormal(q, prior) < truth - 2e-3


def test_closed_form_for_orthonormal_rows(f64):
    """Covariance V^T S^2 V + sigma^2 (I - V^T V), by torch's dense Gaussians."""
    generator = torch.Generator().manual_seed(1)
    v = _orthonormal(3, 20, generator)
    sigmas = torch.tensor([0.1, 0.02, 3.0], dtype=f64)
    mean, start = torch.randn(2, 20, generator=generator, dtype=f64)
    covariance = v.T @ sigmas.square().diag() @ v + 0.25 * (torch.eye(20, dtype=f64) - v.T @ v)
    normal = torch.distributions.MultivariateNormal
    truth = torch.distributions.kl_divergence(normal(mean, covariance), normal(start, torch.eye(20, dtype=f64) * 2))
    value = LowRankPosterior(mean, 0.5, v, sigmas).kl(GaussianPrior(start, 2.0))
    assert value == pytest.approx(truth.item(), rel=1e-10)


def test_samples_have_this_covariance(f64):
    """Each entry within 5 standard errors (55 entries); with ``D`` applied twice it is not."""
    generator = torch.Generator().manual_seed(2)
    q = LowRankPosterior(torch.ones(10), 0.5, _orthonormal(2, 10, generator), torch.tensor([0.1, 2.0], dtype=f64))
    root = torch.tensor(_dense(q).tolist(), dtype=f64).view(10, 10)
    truth = root @ root.T
    samples = q.sample(50_000, generator)
    assert samples.dtype == f64
    products = (samples - 1)[:, :, None] * (samples - 1)[:, None, :]
    error = 5 * products.std(0) / len(samples) ** 0.5
    assert bool(((products.mean(0) - truth).abs() <= error).all())
    wrong = root @ root @ root.T @ root.T / q.sigma**2
    assert not bool(((products.mean(0) - wrong).abs() <= error).all())
    assert bool(((samples.mean(0) - 1).abs() <= 5 * samples.std(0) / len(samples) ** 0.5).all())


def test_many_coordinates(f64):
    """More than one chunk: against the closed form with the products in one piece."""
    generator = torch.Generator().manual_seed(3)
    d = 20_000
    q = LowRankPosterior(torch.zeros(d), 1.0, _orthonormal(4, d, generator), torch.full((4,), 0.5, dtype=f64))
    prior = GaussianPrior(torch.zeros(d), torch.rand(d, generator=generator, dtype=f64) + 0.5)
    assert q.kl(prior) == pytest.approx(_as_if_orthonormal(q, prior), rel=1e-11)
    assert q.to("cpu").kl(prior) == q.kl(prior)


@pytest.mark.parametrize(
    ("sigma", "vectors", "sigmas", "message"),
    [
        (0.0, torch.eye(3)[:1], torch.ones(1), "sigma = 0 is not positive"),
        (1.0, torch.eye(3)[:1], torch.tensor([-1.0]), "sigmas = -1 is not positive"),
        (1.0, torch.eye(3)[:2], torch.ones(1), r"sigmas has shape \(1,\), need \(2,\)"),
        (1.0, torch.eye(4)[:1], torch.ones(1), r"vectors have shape \(1, 4\), need \(k, 3\)"),
        (1.0, 2 * torch.eye(3)[:1], torch.ones(1), "rows of vectors are not orthonormal"),
        (1.0, torch.ones(2, 3) / 3**0.5, torch.full((2,), 0.5), "rows of vectors are not orthonormal"),
        (1.0, torch.eye(3)[:1] * torch.nan, torch.ones(1), "rows of vectors are not orthonormal"),
        (1.0, torch.eye(3)[:1] + 2e-4, torch.full((1,), 1e-4), "too much for these sigmas"),
        (1.0, torch.eye(3)[:1].half(), torch.ones(1), "not precise enough"),
        (1.0, torch.eye(3)[:1], torch.full((1,), 1e-9), r"2\^16 times below or above"),
    ],
)
def test_refusals(sigma, vectors, sigmas, message):
    with pytest.raises(InputError, match=message):
        LowRankPosterior(torch.zeros(3), sigma, vectors, sigmas)
