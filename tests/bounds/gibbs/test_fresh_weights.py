"""Weights are drawn for every example: by a slow loop, by the exact law of a linear network, by correlations."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from eigensam.bounds import (
    DiagonalPosterior,
    FreshWeights,
    IsotropicPosterior,
    LowRankPosterior,
    MeanFieldPerceptron,
    WeightDraws,
    ZeroOneRisk,
    gibbs_risk,
)
from eigensam.bounds.gibbs import fresh_weights
from eigensam.ground import InputError


def _perceptron(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def _mean(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def _low_rank(mean, k=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linalg.qr(torch.randn(len(mean), k, generator=generator, dtype=torch.float64)).Q.T.contiguous()
    return LowRankPosterior(mean, 0.3, rows, torch.linspace(0.05, 0.9, k, dtype=torch.float64))


def test_against_a_loop_over_draws_and_examples(monkeypatch):
    """Also where passes are small: the chunks are those of the random numbers."""
    model, inputs = _perceptron(), torch.randn(7, 4, dtype=torch.float64)
    posterior = _low_rank(_mean(model))
    for numbers in (10**6, 5 * posterior.dim):
        monkeypatch.setattr(fresh_weights, "_NUMBERS", numbers)
        found = FreshWeights(model, posterior, inputs).logits(inputs, 3, torch.Generator().manual_seed(1))
        generator, size = torch.Generator().manual_seed(1), max(1, numbers // posterior.dim)
        rows = torch.cat([posterior.sample(len(r), generator) for r in torch.arange(21).split(size)])
        slow = []
        for i, row in enumerate(rows):
            parts = zip(model.named_parameters(), row.split([p.numel() for p in model.parameters()]), strict=True)
            named = {name: part.view(p.shape) for (name, p), part in parts}
            slow.append(functional_call(model, named, (inputs[i % 7][None],))[0])
        torch.testing.assert_close(found, torch.stack(slow).view(3, 7, 3), rtol=1e-12, atol=1e-13)


def _correlation(network, inputs):
    """Between the first scores of two copies of an example."""
    twice = inputs[:1].expand(2, -1)
    scores = network.logits(twice, 4000, torch.Generator().manual_seed(2))[:, :, 0]
    return float(torch.corrcoef(scores.T)[0, 1])


def test_examples_are_independent_and_shared_draws_fail():
    model, inputs = _perceptron(), torch.randn(3, 4, dtype=torch.float64)
    posterior = _low_rank(_mean(model))
    fresh, shared = FreshWeights(model, posterior, inputs), WeightDraws(model, posterior, inputs)
    assert abs(_correlation(fresh, inputs)) < 0.06  # 4 standard errors
    assert _correlation(shared, inputs) > 0.99  # wrong on purpose
    assert fresh.fresh_per_example
    assert not shared.fresh_per_example


def _covariance(network, inputs):
    scores = network.logits(inputs[:1].expand(100, -1), 400, torch.Generator().manual_seed(3)).flatten(0, 1)
    return torch.cov(scores.T)


def test_law_of_a_linear_network():
    """Scores are Gaussian with covariance ``J A A^T J^T``; the covariance without correlations is another."""
    torch.manual_seed(0)
    model, inputs = nn.Linear(4, 3).double(), torch.randn(2, 4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(4)
    rows = torch.linalg.qr(torch.randn(15, 2, generator=generator, dtype=torch.float64)).Q.T.contiguous()
    posterior = LowRankPosterior(_mean(model), 0.3, rows, torch.tensor([0.02, 2.0], dtype=torch.float64))
    found = _covariance(FreshWeights(model, posterior, inputs), inputs)
    jacobian = torch.cat([torch.kron(torch.eye(3), inputs[:1]), torch.eye(3)], 1).double()
    a = 0.3 * (torch.eye(15) + rows.T @ posterior.stretches.diag() @ rows)
    truth = jacobian @ a @ a.T @ jacobian.T
    error = 5 * float(truth.diagonal().max()) * (2 / 40_000) ** 0.5
    torch.testing.assert_close(found, truth, rtol=0, atol=error)
    apart = jacobian @ (a @ a.T).diagonal().diag() @ jacobian.T  # wrong on purpose
    assert float((apart - truth).abs().max()) > 3 * error


def test_same_risk_as_layer_by_layer():
    """A second way to draw independent weights; the risk of twice the noise lies elsewhere."""
    model = _perceptron()
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    with torch.no_grad():
        targets = model(inputs).argmax(1)
    sigmas = torch.linspace(0.1, 0.4, 43, dtype=torch.float64)

    def risk(network):
        generator = torch.Generator().manual_seed(6)
        (found,) = gibbs_risk(network, inputs, targets, [ZeroOneRisk(0.01)], draws=100, generator=generator)
        assert found.independent == 20_000
        return found.mean

    here = risk(FreshWeights(model, DiagonalPosterior(_mean(model), sigmas), inputs))
    there = risk(MeanFieldPerceptron(model, DiagonalPosterior(_mean(model), sigmas)))
    error = 4 * (2 * here * (1 - here) / 20_000) ** 0.5
    assert abs(here - there) < error
    assert risk(MeanFieldPerceptron(model, DiagonalPosterior(_mean(model), 2 * sigmas))) - here > 3 * error


def test_convolutions_and_single_precision():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()
    inputs = torch.randn(5, 1, 4, 4)
    network = FreshWeights(model, IsotropicPosterior(_mean(model), 0.1), inputs)
    scores = network.logits(inputs, 2, torch.Generator().manual_seed(0))
    assert (scores.shape, scores.dtype) == ((2, 5, 3), torch.float32)


class _Reads(nn.Linear):
    def forward(self, x):
        return super().forward(x) * float(self.weight.sum())


class _Behaves(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (2 if torch._C._functorch.is_batchedtensor(x) else 1)


@pytest.mark.parametrize(
    ("model", "match"),
    [(_Reads(2, 3), r"does not map this network.*take WeightDraws"), (_Behaves(2, 3), "are not those of the network")],
)
def test_networks_that_are_not_mapped(model, match):
    with pytest.raises(InputError, match=match):
        FreshWeights(model, IsotropicPosterior(torch.zeros(9), 0.1), torch.ones(4, 2))


def test_refusals():
    model = nn.Linear(2, 3)
    with pytest.raises(InputError, match="the posterior has 8 parameters, the network 9"):
        FreshWeights(model, IsotropicPosterior(torch.zeros(8), 0.1), torch.ones(4, 2))
    network = FreshWeights(model, IsotropicPosterior(torch.zeros(9), 0.1), torch.ones(4, 2))
    with pytest.raises(InputError, match=r"random numbers, more than 1.4e\+11; take fewer draws"):
        network.logits(torch.ones(4, 2), 2**33, torch.Generator())
