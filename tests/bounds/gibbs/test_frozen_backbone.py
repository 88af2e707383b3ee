"""Scores of a random last layer have the covariance of explicit weights, in closed form."""

import pytest
import torch

from eigensam.bounds import (
    DiagonalPosterior,
    FrozenBackbone,
    GaussianPosterior,
    IsotropicPosterior,
    LayerwisePosterior,
    LowRankPosterior,
)
from eigensam.ground import InputError

from .moments import same_covariance, same_mean

DRAWS, CLASSES, FEATURES = 40_000, 3, 4


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _posterior(kind, bias):
    d = CLASSES * (FEATURES + bias)
    mean = torch.randn(d, generator=_generator(1), dtype=torch.float64)
    if kind == "isotropic":
        return IsotropicPosterior(mean, 0.3)
    if kind == "diagonal":
        return DiagonalPosterior(mean, torch.linspace(0.1, 1, d))
    if kind == "layerwise":
        return LayerwisePosterior(mean, torch.tensor([0.2, 0.7]), [d - CLASSES, CLASSES])
    vectors = torch.linalg.qr(torch.randn(d, 3, generator=_generator(2), dtype=torch.float64)).Q.T
    return LowRankPosterior(mean, 0.5, vectors.float(), torch.tensor([0.01, 0.2, 2.0]))


def _root(q):
    """``A`` with ``w = mean + A z``, dense."""
    eye = torch.eye(q.dim, dtype=torch.float64)
    if isinstance(q, LowRankPosterior):
        v = q.vectors.double()
        return q.sigma * (eye + v.T @ q.stretches.diag() @ v)
    return eye * q.sigmas


def _jacobian(phi, bias):
    """Scores of one example are ``J w``."""
    rows = torch.kron(torch.eye(CLASSES, dtype=torch.float64), phi)
    return torch.cat([rows, torch.eye(CLASSES, dtype=torch.float64)], 1) if bias else rows


KINDS = ["isotropic", "diagonal", "layerwise", "low rank"]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_moments(kind, bias):
    """Mean and covariance of the scores of two examples, which are independent; with shared weights they are not."""
    q = _posterior(kind, bias)
    phi = torch.randn(2, FEATURES, generator=_generator(3), dtype=torch.float64)
    scores = FrozenBackbone(q, CLASSES, FEATURES, bias=bias).logits(phi, DRAWS, _generator(4)).flatten(1)
    jacobians = [_jacobian(row[None], bias) for row in phi]
    mean = torch.cat([j @ q.mean for j in jacobians])
    root = _root(q)
    truth = torch.block_diag(*(j @ root @ root.T @ j.T for j in jacobians))
    assert same_mean(scores, mean)
    assert same_covariance(scores, mean, truth)
    together = torch.cat(jacobians) @ root
    assert not same_covariance(scores, mean, together @ together.T)


@pytest.mark.parametrize("kind", KINDS)
def test_explicit_weights_agree(kind):
    """Second truth: ``sample`` of the posterior, multiplied with features."""
    q = _posterior(kind, True)
    phi = torch.randn(1, FEATURES, generator=_generator(3), dtype=torch.float64)
    explicit = q.sample(DRAWS, _generator(5)) @ _jacobian(phi, True).T
    root = _jacobian(phi, True) @ _root(q)
    assert same_covariance(explicit, _jacobian(phi, True) @ q.mean, root @ root.T)


def test_correlated_classes_drawn_apart_are_caught():
    """Wrong on purpose: only the variances of a low-rank posterior's scores."""
    q = _posterior("low rank", True)
    phi = torch.randn(1, FEATURES, generator=_generator(3), dtype=torch.float64)
    root = _jacobian(phi, True) @ _root(q)
    mean = _jacobian(phi, True) @ q.mean
    noise = torch.randn(DRAWS, CLASSES, generator=_generator(4), dtype=torch.float64)
    assert not same_covariance(mean + noise * (root @ root.T).diagonal().sqrt(), mean, root @ root.T)


def test_directions_far_narrower_than_the_rest():
    """As narrow as they should be, though the covariance is a difference of numbers 2^32 times larger."""
    vectors = torch.linalg.qr(torch.randn(12, 12, generator=_generator(), dtype=torch.float64)).Q
    q = LowRankPosterior(torch.zeros(12), 1.0, vectors, torch.full((12,), 2.0**-16))
    phi = torch.randn(500, FEATURES, generator=_generator(1), dtype=torch.float64)
    scores = FrozenBackbone(q, CLASSES, FEATURES, bias=False).logits(phi, 100, _generator(2))
    ratio = scores / phi.norm(dim=1)[None, :, None] * 2**16
    assert ratio.var().item() == pytest.approx(1, abs=5 * (2 / 150_000) ** 0.5)


def test_no_features(f64):
    """Features of 0, and tiny ones, have scores that are numbers."""
    network = FrozenBackbone(_posterior("low rank", False), CLASSES, FEATURES, bias=False)
    for phi in (torch.zeros(1, FEATURES, dtype=f64), torch.full((1, FEATURES), 1e-160, dtype=f64)):
        assert bool(network.logits(phi, 10, _generator()).isfinite().all())


class _Other(GaussianPosterior):
    def _kl(self, prior):
        return 0.0

    def _spread(self, noise):
        return noise


def test_refusals():
    with pytest.raises(InputError, match="2 classes of 3 features and a bias have 8"):
        FrozenBackbone(IsotropicPosterior(torch.zeros(6), 1.0), 2, 3)
    with pytest.raises(InputError, match="scores of a _Other are not known in closed form"):
        FrozenBackbone(_Other(torch.zeros(8)), 2, 3)
    network = FrozenBackbone(IsotropicPosterior(torch.zeros(8), 1.0), 2, 3)
    with pytest.raises(InputError, match=r"features have shape \(5, 4\), need \(batch, 3\)"):
        network.logits(torch.ones(5, 4), 1, _generator())
