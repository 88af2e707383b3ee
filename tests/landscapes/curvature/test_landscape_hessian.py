"""Hessians of landscapes against dense ones, their top, and the gradient of an eigenvalue against differences."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import (
    Hessian,
    NetworkLandscape,
    Quadratic,
    Valley,
    eigenvalue_gradient,
    hessian,
    top_eigenpairs,
)

D = torch.float64


def network(chunk_size=None, mode="eval"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
    data = torch.randn(20, 3, dtype=D), torch.arange(20) % 3
    return NetworkLandscape.from_tensors(model, cross_entropy, *data, batch_size=5, mode=mode, chunk_size=chunk_size)


def dense(f, x):
    """Columns by central differences of the mean gradient."""
    h = 1e-5
    steps = h * torch.eye(f.dim, dtype=D)
    return torch.stack([(f.gradient(x + s) - f.gradient(x - s)) / (2 * h) for s in steps])


LANDSCAPES = {
    "network": network,
    "chunks of unequal size": lambda: network(chunk_size=3),
    "batch norm": lambda: network(mode="train"),
    "quadratic": lambda: Quadratic([[2.0, 0.5], [0.5, 1.0]], centres=[[1.0, 0.0], [0.0, -1.0]]),
    "valley": lambda: Valley(flat=1.0, sharp=5.0),
}


def point(f):
    start = f.point() if isinstance(f, NetworkLandscape) else torch.zeros(f.dim, dtype=D)
    return start + 0.3 * torch.randn(f.dim, generator=torch.Generator().manual_seed(1), dtype=D)


@pytest.mark.parametrize("name", LANDSCAPES)
def test_against_differences_of_gradients_and_products(name):
    f = LANDSCAPES[name]()
    x = point(f)
    operator = hessian(f, x)
    truth = dense(f, x)
    assert isinstance(operator, Hessian) == isinstance(f, NetworkLandscape)
    assert (operator.dense() - truth).norm() < 1e-8 * truth.norm()
    v = torch.randn(f.dim, dtype=D)
    torch.testing.assert_close(operator @ v, f.hessian_product(x, v), rtol=1e-10, atol=1e-13)
    # wrong on purpose: elsewhere it is another matrix, unless it is constant
    moved = (hessian(f, x + 0.1).dense() - truth).norm()
    assert moved < 1e-8 if name == "quadratic" else moved > 1e-3 * truth.norm()


@pytest.mark.parametrize("method", ["graph", "taylor", "reverse"])
def test_methods_agree(method):
    f = network()
    x = point(f)
    torch.testing.assert_close(hessian(f, x, method=method).dense(), hessian(f, x).dense(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_top_eigenpairs(which):
    f = network()
    x = point(f)
    calls = []
    found = top_eigenpairs(f, x, 2, which=which, tolerance=1e-8, callback=lambda *a: calls.append(a))
    values = torch.linalg.eigvalsh(dense(f, x))
    truth = values.flip(0)[:2] if which == "largest" else values[:2]
    torch.testing.assert_close(found.values, truth, rtol=1e-7, atol=1e-9)
    assert len(calls) == found.products
    assert top_eigenpairs(f, x, start=found.vectors[0], max_products=1).products == 1


@pytest.mark.parametrize("name", LANDSCAPES)
def test_the_gradient_of_an_eigenvalue_against_differences(name):
    f = LANDSCAPES[name]()
    x = point(f)
    v = torch.linalg.eigh(hessian(f, x).dense())[1][:, -1]
    found = eigenvalue_gradient(f, x, v)
    h = 1e-4
    for direction in (torch.ones(f.dim, dtype=D), torch.eye(f.dim, dtype=D)[0]):
        plus, minus = (torch.linalg.eigvalsh(hessian(f, x + s * direction).dense())[-1] for s in (h, -h))
        assert float(found @ direction) == pytest.approx(float(plus - minus) / (2 * h), rel=1e-4, abs=1e-6)
    torch.testing.assert_close(eigenvalue_gradient(f, x, -v), found, rtol=1e-10, atol=1e-13)  # no sign matters


def test_bad_input():
    for f in (Valley(flat=1.0, sharp=5.0), network()):
        x = point(f)
        with pytest.raises(InputError, match=r"the point has shape \(1, .*\); expected"):
            hessian(f, x[None])
        with pytest.raises(InputError, match="the point holds NaN or infinity"):
            hessian(f, x / 0)
        with pytest.raises(InputError, match="the eigenvector has length 2; expected a unit vector"):
            eigenvalue_gradient(f, x, 2 * x / x.norm())
        with pytest.raises(InputError, match="the eigenvector has length nan"):
            eigenvalue_gradient(f, x, x * float("nan"))
        with pytest.raises(InputError, match=r"the eigenvector has shape \(1, .*\); expected"):
            eigenvalue_gradient(f, x, x[None])
    with pytest.raises(InputError, match="unknown method 'exact'; choose one of: auto, graph"):
        hessian(network(), point(network()), method="exact")
