"""Losses along lines against closed forms and against a network whose parameters are written."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic, Valley
from eigensam.paper_figures.measurements.loss_lines import (
    checked_curvature,
    losses_in_plane,
    rises,
    second_difference,
)


@pytest.fixture
def landscape():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3)).double()
    inputs = torch.randn(30, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return NetworkLandscape.from_tensors(model, cross_entropy, inputs, torch.arange(30) % 3, chunk_size=7)


def test_quadratic_rises_by_half_the_curvature():
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    f = Quadratic(matrix, centres=[[0.5, -1.0]])
    x, d = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([0.6, 0.8], dtype=torch.float64)
    curvature = float(d @ matrix @ d)
    assert rises(f, x, d, [0.1, 2.0]) == pytest.approx([curvature * r**2 / 2 for r in (0.1, 2.0)])
    assert second_difference(f, x, d) == pytest.approx(curvature, rel=1e-6)
    assert float(f.loss(x + 0.1 * d) - f.loss(x)) > 2 * rises(f, x, d, [0.1])[0]  # wrong: one side has the gradient


def test_plane_against_networks_that_are_written(landscape):
    x = landscape.point()
    directions = torch.randn(2, landscape.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    axis = [-0.5, 0.0, 1.0]
    found = losses_in_plane(landscape, x, directions, axis)
    model = landscape.network.model
    inputs, targets = (torch.cat(each) for each in zip(*landscape.batches, strict=True))
    for b, row in zip(axis, found, strict=True):
        for a, loss in zip(axis, row, strict=True):
            nn.utils.vector_to_parameters(x + a * directions[0] + b * directions[1], model.parameters())
            assert loss == pytest.approx(cross_entropy(model(inputs), targets).item())
    nn.utils.vector_to_parameters(x, model.parameters())


def test_second_difference_against_the_full_hessian(landscape):
    x = landscape.point()
    full = torch.autograd.functional.hessian(landscape.loss, x)
    values, vectors = torch.linalg.eigh(full)
    for place in (-1, -2, 0):
        v, value = vectors[:, place], float(values[place])
        assert checked_curvature(landscape, x, v, value, 1e-4) == pytest.approx(value, rel=1e-4)
        with pytest.raises(InputError, match="max_products"):
            checked_curvature(landscape, x, v, 1.02 * value, 0.01)


def test_another_vector_is_refused(landscape):
    x = landscape.point()
    values, vectors = torch.linalg.eigh(torch.autograd.functional.hessian(landscape.loss, x))
    mixed = (vectors[:, -1] + 0.5 * vectors[:, -3]) / math.sqrt(1.25)
    with pytest.raises(InputError, match="the loss bends by"):
        checked_curvature(landscape, x, mixed, float(values[-1]), 0.01)
    with pytest.raises(InputError):
        checked_curvature(landscape, x, vectors[:, -1], math.nan, 0.01)


def test_the_step_is_neither_too_long_nor_too_short():
    """A valley's wall bends strongly: a long step misses its curvature."""
    f, x = Valley(flat=1.0, sharp=50.0), torch.tensor([0.7, 0.0], dtype=torch.float64)
    v = torch.tensor([0.0, 1.0], dtype=torch.float64)
    curvature = float(f.hessian_product(x, v) @ v)
    assert second_difference(f, x, v) == pytest.approx(curvature, rel=1e-5)
