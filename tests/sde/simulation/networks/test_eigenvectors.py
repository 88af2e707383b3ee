"""Eigenvectors along many paths: against dense ones, scipy, closed forms, and one matrix at a time."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic
from eigensam.landscapes.curvature.landscape_hessian import hessian
from eigensam.landscapes.spectra.operators import DenseOperator
from eigensam.landscapes.spectra.power_iteration import power_method
from eigensam.sde.simulation.networks.eigenvectors import EigenvectorEstimate

from .small_networks import D, dense_hessian, landscape, points

# Of a network: magnitudes that nearly meet converge slowly, so the residual says which estimates to look at.
CLOSE = 1e-2


def hessians(f, x, kind):
    """Dense, shape ``(P, N, d, d)``."""
    every = torch.stack([dense_hessian(f, p, f.batches) for p in x])
    return every if kind == "minibatch" else every.mean(1, keepdim=True)


def steps(estimate, x, count):
    found = estimate(x)
    for _ in range(count - 1):
        found = estimate(x, found.state)
    return found


@pytest.mark.parametrize("kind", ["minibatch", "step"])
@pytest.mark.parametrize("network", ["mlp", "cnn", "batch norm"])
def test_eigenvectors_of_dense_hessians(network, kind):
    """On 200 parameters: of largest magnitude where nothing is shifted, the largest one where it is."""
    f = landscape(network)
    grouped = network == "batch norm"  # no two points of which pass together
    x = points(f, 1 if grouped else 2)
    dense = hessians(f, x, kind)
    values, vectors = torch.linalg.eigh(dense)
    largest = torch.full(values.shape[:2], f.dim - 1)
    for shift, best in ((0.0, values.abs().argmax(-1)), (3.0, largest))[: 1 if grouped else 2]:
        found = steps(EigenvectorEstimate(f, kind, 40, shift=shift), x, 2 if grouped else 4)
        near = found.residuals < CLOSE
        assert near.double().mean() > 0.5
        top = values.gather(-1, best[..., None])[..., 0]
        assert ((found.values - top).abs() <= found.residuals * top.abs() * (1 + CLOSE) + 1e-12)[near].all()
        # The angle is at most that of the sine theorem (Davis & Kahan): residual over distance to all others.
        v = vectors.gather(-1, best[..., None, None].expand(*best.shape, f.dim, 1))[..., 0]
        distances = (values - found.values[..., None]).abs().scatter(-1, best[..., None], torch.inf).amin(-1)
        sine = torch.linalg.vector_norm(found.vectors - (found.vectors * v).sum(-1, keepdim=True) * v, dim=-1)
        assert (sine <= found.residuals * found.values.abs() / distances * (1 + 1e-6) + 1e-9)[near].all()
        # And the residuals are what they say.
        image = (dense @ found.vectors[..., None])[..., 0]
        rest = torch.linalg.vector_norm(image - found.values[..., None] * found.vectors, dim=-1) / found.values.abs()
        torch.testing.assert_close(found.residuals, rest, rtol=1e-4, atol=1e-9)


def test_an_estimate_that_is_poor_says_so():
    """Wrong on purpose: one product from a random vector is no eigenvector."""
    f = landscape("mlp")
    x = points(f, 3)
    poor, good = EigenvectorEstimate(f, "step", 1)(x), steps(EigenvectorEstimate(f, "step", 50), x, 8)
    values = torch.linalg.eigvalsh(hessians(f, x, "step"))
    largest = values.abs().amax(-1)
    assert (poor.residuals > 0.1).all()
    assert ((poor.values.abs() - largest).abs() / largest > 0.1).any()
    assert (good.residuals < poor.residuals / 10).all()


def test_as_scipy():
    f = landscape("mlp")
    x = points(f, 2)
    found = steps(EigenvectorEstimate(f, "step", 100), x, 8)
    for p in range(2):
        values, vectors = eigsh(hessian(f, x[p]).to_scipy(), 1, which="LM")
        assert found.values[p].item() == pytest.approx(values[0], rel=1e-6)
        assert abs(found.vectors[p, 0].numpy() @ vectors[:, 0]) == pytest.approx(1, abs=1e-4)


def test_the_iteration_is_that_of_one_matrix():
    """After p + 1 products from the same start, :func:`power_method` has the same vector."""
    f = landscape("mlp")
    x = points(f, 1)
    dense = hessians(f, x, "minibatch")[0]
    estimate = EigenvectorEstimate(f, "minibatch", 5)
    found = estimate(x)
    for m in range(f.size):
        single = power_method(DenseOperator((dense[m] + dense[m].mT) / 2), 6, start=estimate.start([0])[0, m])
        torch.testing.assert_close(found.vectors[0, m], single.vectors[0], rtol=1e-7, atol=1e-9)
        assert found.values[0, m].item() == pytest.approx(single.values.item(), rel=1e-7)


def test_closed_form_on_a_quadratic():
    """diag(2, -1): the first component's share grows by 2 a product, its sign by the sign of the eigenvalue."""
    f = Quadratic(torch.diag(torch.tensor([2.0, -1.0])), centres=[[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    x = torch.zeros(2, 2, dtype=D)
    for kind, count in (("minibatch", 3), ("step", 1)):
        estimate = EigenvectorEstimate(f, kind, 4)
        start, found = estimate.start([0, 1]), estimate(x)
        assert found.vectors.shape == found.state.shape == (2, count, 2)
        ratio = start[..., 1] / start[..., 0]
        for vectors, products in ((found.vectors, 4), (found.state, 5), (estimate(x, found.state).vectors, 8)):
            torch.testing.assert_close(vectors[..., 1] / vectors[..., 0], ratio * (-0.5) ** products)
        square = (ratio * 0.5**4) ** 2
        torch.testing.assert_close(found.values, (2 - square) / (1 + square))


def test_the_largest_by_a_shift():
    f = Quadratic(torch.diag(torch.tensor([1.0, -3.0])), centres=[[0.0, 0.0]])
    x = torch.zeros(1, 2, dtype=D)
    assert steps(EigenvectorEstimate(f, "step", 20), x, 3).values.item() == pytest.approx(-3)
    shifted = steps(EigenvectorEstimate(f, "step", 20, shift=4.0), x, 6)
    assert shifted.values.item() == pytest.approx(1)
    assert shifted.residuals.item() < 1e-6


def test_what_a_hessian_maps_to_zero_stays():
    f = Quadratic([[0.0, 0.0], [0.0, 0.0]], centres=[[1.0, 1.0]])
    estimate = EigenvectorEstimate(f, "step", 3)
    found = estimate(torch.ones(1, 2, dtype=D))
    assert torch.equal(found.vectors, estimate.start([0]))
    assert (found.values.item(), found.residuals.item()) == (0.0, 0.0)


@pytest.mark.parametrize("kind", ["minibatch", "step"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_paths_do_not_know_each_other(kind, dtype):
    f = landscape("mlp", dtype)
    x = points(f, 5)
    estimate = EigenvectorEstimate(f, kind, 3)
    together = estimate(x, estimate(x).state)
    assert together.vectors.dtype == dtype
    assert together.values.dtype == together.residuals.dtype == D
    for memory in (2**30, 30_000, 1):
        other = EigenvectorEstimate(f, kind, 3, memory=memory)
        alone = other(x[3:4], other(x[3:4], paths=[3]).state)
        torch.testing.assert_close(alone.vectors[0], together.vectors[3], rtol=0, atol=1e-9 if dtype == D else 1e-3)
        some = other(x, other(x).state)
        torch.testing.assert_close(some.vectors, together.vectors, rtol=0, atol=1e-9 if dtype == D else 1e-3)


def test_a_resumed_run_has_the_same_bits():
    f = landscape("mlp")
    x = points(f, 3)
    once = EigenvectorEstimate(f, "minibatch", 2)
    first = once(x)
    second = once(x + 0.01, first.state)
    later = EigenvectorEstimate(landscape("mlp"), "minibatch", 2)(x + 0.01, first.state.clone())
    assert torch.equal(second.vectors, later.vectors)
    assert torch.equal(second.state, later.state)


def test_first_vectors_depend_on_seed_and_number():
    f = landscape("mlp")
    one, two = EigenvectorEstimate(f, "step", seed=1), EigenvectorEstimate(f, "step", seed=2)
    rows = torch.cat([one.start(range(4)), two.start(range(4))])[:, 0]
    np.testing.assert_allclose(torch.linalg.vector_norm(rows, dim=1), 1)
    off = rows @ rows.mT - torch.eye(8, dtype=D)
    assert off.abs().max() < 5 / math.sqrt(f.dim)  # independent, and none of them twice
    assert torch.equal(one.start([2]), one.start(range(4))[2:3])
    every = EigenvectorEstimate(f, "minibatch", seed=1).start([2])
    assert torch.equal(every, one.start([2]).repeat(1, f.size, 1))


def test_refusals():
    f = landscape("mlp")
    x = points(f, 2)
    for options, said in (
        ({"kind": "batch"}, "unknown kind of Hessian 'batch'; choose one of: minibatch, step"),
        ({"iterations": 0}, "iterations = 0"),
        ({"iterations": 1.5}, "iterations = 1.5 is not a whole number"),
        ({"shift": -1.0}, "shift = -1.0"),
        ({"shift": math.nan}, "shift = nan"),
        ({"seed": -1}, "seed -1 is not a whole number"),
        ({"memory": 0}, "memory = 0"),
    ):
        with pytest.raises(InputError, match=said):
            EigenvectorEstimate(f, **options)
    estimate = EigenvectorEstimate(f, "minibatch", 2)
    state = estimate(x).state
    with pytest.raises(InputError, match=r"expected \(paths, "):
        estimate(x[0])
    with pytest.raises(InputError, match=r"the state has shape \(2, 1, "):
        estimate(x, state[:, :1])
    with pytest.raises(InputError, match="have not length 1"):
        estimate(x, 2 * state)
    with pytest.raises(InputError, match="the state of path 0 is not finite"):
        estimate(x, state * math.nan)
    with pytest.raises(InputError, match="numbers of 1 paths for 2 points"):
        estimate(x, paths=[0])
    x[1, 3] = math.inf
    with pytest.raises(InputError, match="the point of path 1 is not finite"):
        estimate(x)
    single = landscape("cnn", torch.float32)  # whose rectifiers do not saturate
    far = points(single, 2)
    far[1] = 1e30
    for memory in (2**30, 1):
        with pytest.raises(InputError, match="a Hessian product of path 1 is not finite"):
            EigenvectorEstimate(single, "step", 2, memory=memory)(far)
