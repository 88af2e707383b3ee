"""Shapes have the divergence that they are asked for, by the posteriors' own, and know what they say."""

import pytest
import torch
from torch import nn

from eigensam.bounds import GaussianPrior, LowRankPosterior
from eigensam.landscapes import GaussNewton, NetworkFunction
from eigensam.paper_figures.measurements.perceptron_diagonal import perceptron_diagonal
from eigensam.paper_figures.measurements.posterior_shapes import SHAPES, narrowing, posterior_shapes


def _shapes(dim=60, k=4):
    generator = torch.Generator().manual_seed(0)
    vectors = torch.linalg.qr(torch.randn(dim, k, generator=generator, dtype=torch.float64)).Q.T.contiguous()
    values = torch.tensor([8.0, 2.0, 0.5, -0.1], dtype=torch.float64)
    return posterior_shapes(values, vectors, torch.rand(dim, generator=generator), seed=1), values, vectors


@pytest.mark.parametrize("nats", [0.0, 0.3, 5.0, 25.0])
@pytest.mark.parametrize("name", SHAPES)
def test_divergence(name, nats):
    """A move adds its own part; a prior of another width is another divergence."""
    shapes, _, _ = _shapes()
    mean = torch.full((60,), 0.01, dtype=torch.float64)
    posterior = shapes[name].posterior(mean, 0.2, nats)
    move = 60 * 0.01**2 / (2 * 0.2**2)
    found = posterior.kl(GaussianPrior(torch.zeros(60), 0.2**2))
    assert found == pytest.approx(nats + move, rel=1e-6, abs=1e-7)
    other = posterior.kl(GaussianPrior(torch.zeros(60), 0.25**2))  # wrong on purpose
    assert abs(other - nats - move) > 0.1


def test_narrowing_is_monotone_and_orders_by_curvature():
    curvature = torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64)
    before = torch.ones(3, dtype=torch.float64)
    for nats in (0.1, 1.0, 10.0):
        sigmas = narrowing(curvature, nats)
        assert sigmas[2] == 1.0
        assert sigmas[0] < sigmas[1] < 1
        assert (sigmas[:2] < before[:2]).all()
        before = sigmas


def test_spectral_knows_and_controls_do_not():
    """At equal divergence the second-order term is least for eigenvectors with their own eigenvalues."""
    shapes, values, vectors = _shapes()
    matrix = vectors.T @ values.clamp(min=0).diag() @ vectors

    def second_order(name):
        generator = torch.Generator().manual_seed(2)
        noise = shapes[name].posterior(torch.zeros(60), 1.0, 3.0).sample(20_000, generator)
        return float(((noise @ matrix) * noise).sum(1).mean())

    found = {name: second_order(name) for name in SHAPES}
    assert found["spectral"] < 0.9 * min(found[name] for name in SHAPES if name != "spectral")
    for control in ("shuffled", "random"):
        q, p = (shapes[name].posterior(torch.zeros(60), 1.0, 3.0) for name in ("spectral", control))
        assert isinstance(p, LowRankPosterior)
        torch.testing.assert_close(q.sigmas.sort().values, p.sigmas.sort().values)
    assert not torch.allclose(shapes["random"].directions, vectors)


def test_diagonal_against_products():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3, bias=False)).double()
    inputs, targets = torch.randn(6, 2, 2, dtype=torch.float64), torch.arange(6) % 3
    network = NetworkFunction(model, nn.functional.cross_entropy)
    operator = GaussNewton(network, [(inputs, targets)])
    dense = torch.stack([operator @ row for row in torch.eye(operator.dim, dtype=torch.float64)])
    found = perceptron_diagonal(model, inputs)
    torch.testing.assert_close(found, dense.diagonal(), rtol=1e-9, atol=1e-12)
    scaled = perceptron_diagonal(model, 2 * inputs)  # wrong on purpose
    assert not torch.allclose(scaled, dense.diagonal(), rtol=1e-2)
