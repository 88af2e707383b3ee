"""Layerwise measures against dense Hessians, other minimisers, and what they must not depend on."""

import copy

import pytest
import torch
from scipy.optimize import minimize

from eigensam.bounds.ordering.layer_measures import (
    hessian_diagonal,
    layerwise_distance_curvature,
    normalised_sharpness,
)
from eigensam.landscapes import NetworkLandscape, top_eigenpairs


def relu_network():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 5, bias=False), torch.nn.ReLU(), torch.nn.Linear(5, 3, bias=False)
    ).double()
    return model, torch.randn(30, 4).double(), torch.arange(30) % 3


def landscape(model, inputs, targets):
    return NetworkLandscape.from_tensors(model, torch.nn.functional.cross_entropy, inputs, targets)


def dense(f):
    x = f.point()
    return torch.stack([f.hessian_product(x, e) for e in torch.eye(f.dim, dtype=torch.float64)])


def test_layerwise_against_blocks():
    f = landscape(*relu_network())
    hessian, moved = dense(f), torch.randn(f.dim, dtype=torch.float64)
    blocks = [(0, 20), (20, 35)]
    truth = sum(max(0.0, float(moved[a:b] @ hessian[a:b, a:b] @ moved[a:b])) ** 0.5 for a, b in blocks)
    found = layerwise_distance_curvature(lambda v: f.hessian_product(f.point(), v), moved, [20, 15])
    assert found == pytest.approx(truth, rel=1e-9)
    whole = max(0.0, float(moved @ hessian @ moved)) ** 0.5
    assert abs(found - whole) > 1e-3  # wrong on purpose: the whole Hessian


def test_a_negative_block_counts_as_zero():
    found = layerwise_distance_curvature(lambda v: torch.tensor([-1.0, 4.0]) * v, torch.ones(2), [1, 1])
    assert found == 2.0


def test_diagonal_exact_and_estimated():
    f = landscape(*relu_network())
    x, hessian = f.point(), dense(f)

    def product(v):
        return f.hessian_product(x, v)

    exact = hessian_diagonal(product, f.dim, probes=f.dim, seed=0, like=x)
    assert exact.tolist() == pytest.approx(hessian.diagonal().tolist(), abs=1e-9)
    errors = [float((hessian_diagonal(product, f.dim, probes=n, seed=0, like=x) - exact).norm()) for n in (8, 32)]
    assert errors[1] < errors[0] < float(exact.norm()) * 3


def test_normalised_against_another_minimiser():
    torch.manual_seed(1)
    layer = torch.nn.Linear(3, 2, bias=False).double()
    h = torch.rand(6, dtype=torch.float64) + 0.1
    weights = layer.weight.detach().square()

    def value(logs):
        a, b = torch.tensor(logs[:2]).exp(), torch.tensor(logs[2:]).exp()
        scale = a[:, None] * b[None, :]
        return 0.5 * float((h.view(2, 3) * scale + weights / scale).sum())

    best = minimize(value, [0.0] * 5, method="BFGS", options={"gtol": 1e-9})
    found = normalised_sharpness(layer, h)
    assert found == pytest.approx(best.fun, rel=1e-6)
    assert found >= float((h.sqrt() * layer.weight.detach().flatten().abs()).sum()) * (1 - 1e-9)  # entry by entry
    assert found < value([0.0] * 5)


def test_rescaling_of_units_changes_lambda_1_and_not_the_normalised_sharpness():
    """The same function: a hidden unit times c, what it feeds divided by c."""
    model, inputs, targets = relu_network()
    other = copy.deepcopy(model)
    scales = torch.tensor([0.2, 1.0, 3.0, 10.0, 0.5], dtype=torch.float64)
    with torch.no_grad():
        other[0].weight *= scales[:, None]
        other[2].weight /= scales[None, :]
    assert torch.allclose(model(inputs), other(inputs))
    sharpness, tops = [], []
    for each in (model, other):
        f = landscape(each, inputs, targets)
        x = f.point()
        diagonal = hessian_diagonal(lambda v, f=f, x=x: f.hessian_product(x, v), f.dim, probes=f.dim, seed=0, like=x)
        sharpness.append(normalised_sharpness(each, diagonal))
        tops.append(float(top_eigenpairs(f, x).values[0]))
    assert sharpness[1] == pytest.approx(sharpness[0], rel=1e-5)
    assert abs(tops[1] / tops[0] - 1) > 0.5  # the control


def test_kernels_zero_rows_and_frozen_layers():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2, 2)).double()
    torch.nn.init.zeros_(model[2].weight)
    dim = sum(p.numel() for p in model.parameters())
    found = normalised_sharpness(model, torch.ones(dim, dtype=torch.float64))
    assert 0 < found < float(model[0].weight.detach().abs().sum()) * 3
    model[0].requires_grad_(False)
    left = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert normalised_sharpness(model, torch.ones(left, dtype=torch.float64)) == pytest.approx(0, abs=1e-6)
