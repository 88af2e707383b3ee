"""The semidefinite bound: against its dense matrix, closed forms and sampled slopes."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from eigensam.bounds import lipsdp
from eigensam.bounds.assumptions.input_lipschitz import norm_product
from eigensam.bounds.assumptions.lipsdp import proved_constant
from eigensam.bounds.assumptions.operator_norms import slopes

GELU = slopes(nn.GELU())


def dense(weights, multipliers, slope, squared):
    """The matrix of Theorem 2, whose negative semidefiniteness is the proof: built whole, not eliminated."""
    sizes = [weights[0].shape[1], *(len(weight) for weight in weights[:-1])]
    starts = np.cumsum([0, *sizes])
    matrix = np.zeros((starts[-1], starts[-1]))
    matrix[: sizes[0], : sizes[0]] -= squared * np.eye(sizes[0])
    for k, (t, (low, high)) in enumerate(zip(multipliers, slope, strict=True)):
        a, b = slice(starts[k], starts[k + 1]), slice(starts[k + 1], starts[k + 2])
        w, t = weights[k].numpy(), np.diag(t.numpy())
        matrix[a, a] -= 2 * low * high * w.T @ t @ w
        matrix[a, b] += (low + high) * w.T @ t
        matrix[b, a] += (low + high) * t @ w
        matrix[b, b] -= 2 * t
    last = slice(starts[-2], starts[-1])
    matrix[last, last] += (weights[-1].T @ weights[-1]).numpy()
    return float(np.linalg.eigvalsh(matrix).max())


def random_weights(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(b, a, generator=generator, dtype=torch.float64) / a**0.5 for a, b in itertools.pairwise(sizes)]


@pytest.mark.parametrize("slope", [(0.0, 1.0), GELU, (0.1, 1.0)])
@pytest.mark.parametrize("sizes", [(4, 6, 3), (3, 5, 4, 2)])
def test_against_the_dense_matrix(sizes, slope):
    weights, slope = random_weights(sizes, 0), [slope] * (len(sizes) - 2)
    multipliers = [torch.full((n,), 40.0 / 8**k, dtype=torch.float64) for k, n in enumerate(sizes[1:-1])]
    scale = 8.0
    while (found := proved_constant(weights, multipliers, slope)) == float("inf"):
        multipliers = [t * scale for t in multipliers]
    assert dense(weights, multipliers, slope, found**2 * (1 + 1e-9)) <= 1e-9
    assert dense(weights, multipliers, slope, (0.999 * found) ** 2) > 1e-6  # wrong on purpose


@pytest.mark.parametrize("slope", [(0.0, 1.0), GELU, (0.0, 0.25), (0.1, 1.0)])
def test_equal_multipliers_are_the_product_of_norms_for_orthogonal_layers(slope):
    """Then nothing is gained: every direction is stretched alike."""
    first = torch.linalg.qr(random_weights((5, 5), 1)[0]).Q * 2
    last = torch.linalg.qr(random_weights((5, 5), 2)[0]).Q * 3
    found = lipsdp([first, last], [slope])
    assert found.start == pytest.approx(6 * max(map(abs, slope)), rel=1e-3)


@pytest.mark.parametrize("activation", [nn.Tanh(), nn.ReLU(), nn.GELU(), nn.Sigmoid(), nn.LeakyReLU(0.3)])
@pytest.mark.parametrize("sizes", [(5, 12, 3), (4, 8, 8, 2)])
def test_no_sampled_slope_is_above(sizes, activation):
    weights = random_weights(sizes, 3)
    linear = [nn.Linear(w.shape[1], w.shape[0]).double() for w in weights]
    for layer, weight in zip(linear, weights, strict=True):
        layer.weight.data = weight
    layers = [part for layer in linear for part in (layer, activation)][:-1]
    model = nn.Sequential(*layers)
    found = lipsdp(weights, [slopes(activation)] * (len(weights) - 1))
    generator = torch.Generator().manual_seed(4)
    points = torch.randn(400, sizes[0], generator=generator, dtype=torch.float64)
    jacobians = torch.vmap(torch.func.jacrev(lambda a: model(a)))(points)
    largest = float(torch.linalg.matrix_norm(jacobians.detach(), 2).max())
    product = norm_product(layers, (sizes[0],))
    assert largest <= found.upper <= found.start <= product * (1 + 1e-6)
    assert found.upper < 0.97 * product


def test_one_unit_is_exact():
    found = lipsdp([torch.tensor([[3.0]]), torch.tensor([[2.0]])], [(0.0, 1.0)])
    assert found.upper == pytest.approx(6.0, rel=1e-3)
    assert found.upper >= 6.0


def test_two_units_that_undo_each_other():
    """phi(x) - phi(x) is 0, but the proof lets the two differ: 1 is the least for any two slopes in [0, 1]."""
    first, last = torch.tensor([[1.0], [1.0]]).double(), torch.tensor([[1.0, -1.0]]).double()
    best = minimize_scalar(
        lambda t: proved_constant([first, last], [torch.full((2,), t).double()], [(0.0, 1.0)]),
        bounds=(1.0001, 9),
        method="bounded",
    )
    found = lipsdp([first, last], [(0.0, 1.0)])
    assert 1 <= found.upper <= best.fun * (1 + 1e-3)


def test_what_is_not_feasible_proves_nothing():
    """Wrong on purpose: multipliers that are too small, negative, or at the edge."""
    weights = random_weights((3, 4, 2), 5)
    assert proved_constant(weights, [torch.full((4,), 1e-3).double()], [(0.0, 1.0)]) == float("inf")
    assert proved_constant(weights, [torch.tensor([9.0, 9.0, 9.0, -9.0]).double()], [(0.0, 1.0)]) == float("inf")
    edge = torch.linalg.eigvalsh(weights[1].mT @ weights[1])[-1] / 2
    assert proved_constant(weights, [edge.repeat(4)], [(0.0, 1.0)]) == float("inf")


def test_layers_that_are_too_wide():
    assert lipsdp([torch.ones(601, 1), torch.ones(1, 601)], [(0.0, 1.0)]) is None
    assert lipsdp([torch.ones(2, 1), torch.zeros(1, 2)], [(0.0, 1.0)]) is None
