"""Truths: closed forms of trigonometric polynomials, dense Dirichlet sums, all minibatch sequences, a solvable SDE."""

import itertools

import numpy as np
import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus
from eigensam.sde import TorusGrid, exact_increments, find_rule
from eigensam.sde.weak_order import torus_grid
from eigensam.sde.weak_order.evolution import Evolution

RESOLUTION = {1: 11, 2: 9, 3: 7}
DIMS = [1, 2, 3]


class Polynomial:
    """Two trigonometric polynomials ``sum_k a_k cos(k . x + p_k)`` with frequencies up to a degree in every axis."""

    def __init__(self, dim, degree, seed=0):
        draw = np.random.default_rng(seed)
        inner = draw.integers(-degree, degree + 1, (6, dim))
        self.k = np.concatenate([inner, [[degree] * dim, [-degree] + [degree] * (dim - 1)]]).astype(float)
        self.a, self.p = draw.uniform(0.5, 1, (8, 2)), draw.uniform(0, 6, 8)

    def __call__(self, x):
        return torch.from_numpy(np.cos(np.asarray(x) @ self.k.T + self.p) @ self.a)

    def partial(self, x, *axes):
        """Partial derivatives: each turns a cosine by a quarter and multiplies by ``k``."""
        turned = np.cos(np.asarray(x) @ self.k.T + self.p + len(axes) * np.pi / 2)
        return torch.from_numpy((turned * np.prod(self.k[:, list(axes)], axis=1)) @ self.a)


def analytic(x):
    """No trigonometric polynomial, and coupled between the axes."""
    x = torch.as_tensor(x)
    shift = x[:, -1] if x.shape[1] > 1 else 0 * x[:, 0]
    return torch.stack([(0.7 * torch.sin(x[:, 0] + shift)).exp(), 1 / (2 + torch.cos(x[:, -1]) * 0.8)], 1)


def scattered(dim, count=40, seed=0):
    """Within and far outside the cell, and on grid points of the seam."""
    x = np.random.default_rng(seed).uniform(-9, 9, (count, dim))
    x[0], x[1], x[2] = 0, 2 * np.pi, -np.pi
    return torch.from_numpy(x)


def axis_kernel(x, axis):
    """``(1 + 2 sum_k cos k (x - x_j)) / n``, summed."""
    k = np.arange(1, len(axis) // 2 + 1)
    return (1 + 2 * np.cos(k * (x[:, None, None] - axis[:, None])).sum(-1)) / len(axis)


def axis_derivative(axis):
    k = np.arange(1, len(axis) // 2 + 1)
    return -2 * (k * np.sin(k * (axis[:, None, None] - axis[:, None]))).sum(-1) / len(axis)


def dense_interpolation(grid, x):
    rows = np.ones((len(x), 1))
    for i in range(grid.dim):
        rows = (rows[:, :, None] * axis_kernel(x[:, i], grid.axis.numpy())[:, None]).reshape(len(x), -1)
    return rows


def dense_derivatives(grid):
    n, d = grid.resolution, grid.dim
    one = axis_derivative(grid.axis.numpy())
    return [np.kron(np.kron(np.eye(n**i), one), np.eye(n ** (d - 1 - i))) for i in range(d)]


def dense_chain(grid, h, step):
    minibatches = [dense_interpolation(grid, grid.points.numpy() + step * h[:, m]) for m in range(h.shape[1])]
    return np.mean(minibatches, axis=0)


@pytest.mark.parametrize("dim", DIMS)
def test_points(dim):
    grid = TorusGrid(dim, 5)
    truth = [[2 * np.pi * i / 5 for i in row] for row in itertools.product(range(5), repeat=dim)]
    np.testing.assert_allclose(grid.points.numpy(), truth, rtol=0, atol=1e-15)


def interpolated(grid, values, x):
    """At points ``(P, d)``: a step of length 1 of a chain whose minibatches go there from every point; they agree."""
    h = x - grid.points[:, None]
    found = torch.stack([grid.chain(h[:, m : m + 1], 1.0)(values) for m in range(len(x))], 1) + values[:, None]
    np.testing.assert_allclose(found, found[:1].expand_as(found), rtol=0, atol=1e-12)
    return found[0]


@pytest.mark.parametrize("dim", DIMS)
def test_interpolation_is_exact_up_to_degree_half_of_n(dim):
    grid = TorusGrid(dim, RESOLUTION[dim])
    phi, x = Polynomial(dim, grid.resolution // 2), scattered(dim)
    values = phi(grid.points)
    np.testing.assert_allclose(interpolated(grid, values, x), phi(x), rtol=0, atol=1e-12)
    np.testing.assert_allclose(interpolated(grid, values, grid.points[:9]), values[:9], rtol=0, atol=1e-12)
    # wrong on purpose: a degree more is another function between the points
    beyond = Polynomial(dim, grid.resolution // 2 + 1)
    assert (interpolated(grid, beyond(grid.points), x) - beyond(x)).abs().max() > 0.5


@pytest.mark.parametrize("n", [11, 41])
def test_steps_that_end_at_grid_points_or_near(n):
    """``sin(n s / 2) / sin((theta_j + s) / 2)`` is 0 / 0 there."""
    grid = TorusGrid(1, n)
    phi = Polynomial(1, n // 2)
    spacing = 2 * torch.pi / n
    for away in (0.0, 1e-16, 1e-12, -1e-8, 1e-5):
        shift = (torch.arange(-n, n + 1, dtype=torch.float64) * spacing + away).expand(n, -1)[..., None]
        found = phi(grid.points) + grid.chain(shift, 1.0)(phi(grid.points))
        truth = phi((grid.points[:, None] + shift).flatten(0, 1)).unflatten(0, shift.shape[:2]).mean(1)
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-12)
        for m in (0, 1, n - 1, n, n + 1, 2 * n):
            one = shift[:, m : m + 1]
            moved = phi(grid.points) + grid.chain(one, 1.0)(phi(grid.points))
            np.testing.assert_allclose(moved, phi(grid.points + one[:, 0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("other", [5, 13])
def test_resampling_is_exact_up_to_degree_half_of_n(dim, other):
    grid, target = TorusGrid(dim, RESOLUTION[dim]), TorusGrid(dim, other)
    phi = Polynomial(dim, grid.resolution // 2)
    found = grid.resampled(phi(grid.points), target)
    np.testing.assert_allclose(found, phi(target.points), rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        grid.resampled(analytic(grid.points), target),
        dense_interpolation(grid, target.points.numpy()) @ analytic(grid.points).numpy(),
        rtol=0,
        atol=1e-13,
    )
    beyond = Polynomial(dim, grid.resolution // 2 + 1)
    assert (grid.resampled(beyond(grid.points), target) - beyond(target.points)).abs().max() > 0.5


@pytest.mark.parametrize("dim", DIMS)
def test_derivatives_are_exact_up_to_degree_half_of_n(dim):
    grid = TorusGrid(dim, RESOLUTION[dim])
    phi, beyond = Polynomial(dim, grid.resolution // 2), Polynomial(dim, grid.resolution // 2 + 1)
    for i in range(dim):
        first = grid.derivative(phi(grid.points), i)
        np.testing.assert_allclose(first, phi.partial(grid.points, i), rtol=0, atol=1e-12)
        for j in range(dim):
            second = grid.derivative(first, j)
            np.testing.assert_allclose(second, phi.partial(grid.points, i, j), rtol=0, atol=1e-11)
        assert (grid.derivative(beyond(grid.points), i) - beyond.partial(grid.points, i)).abs().max() > 0.5


@pytest.mark.parametrize("dim", DIMS)
def test_spectral_convergence(dim):
    """Each four points more divide the error by a factor."""
    target, errors = TorusGrid(dim, 31 if dim < 3 else 13), []
    for n in (7, 11, 15, 19, 23, 27) if dim < 3 else (7, 11, 15, 19):
        grid = TorusGrid(dim, n)
        found = grid.resampled(analytic(grid.points), target)
        errors.append(float((found - analytic(target.points)).abs().max()))
    assert all(after < 0.2 * before for before, after in itertools.pairwise(errors)), errors
    assert errors[2] > 1e-7
    assert errors[-1] < (1e-7 if dim < 3 else 2e-5)


def increments(dim, grid, rho=0.3):
    x = grid.points[:, None]
    return exact_increments(TiltedTorus.default(dim), find_rule("sam"), x, rho)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("step", [0.5, 2.0**-12])
def test_chain_against_dense_dirichlet_sums(dim, step):
    grid = TorusGrid(dim, 11)
    h = increments(dim, grid)
    values = analytic(grid.points)
    truth = dense_chain(grid, h.numpy(), step) @ values.numpy()
    np.testing.assert_allclose(values + step * grid.chain(h, step)(values), truth, rtol=0, atol=1e-13)


def test_chain_in_three_dimensions_against_displaced_points():
    """The only error is that of interpolation: exact on polynomials, spectral on others."""
    step = 0.25
    for n, tolerance in ((9, None), (17, 1e-4)):
        grid = TorusGrid(3, n)
        h = increments(3, grid)
        apply = grid.chain(h, step)
        moved = (grid.points[:, None] + step * h).flatten(0, 1)
        phi = Polynomial(3, 4) if tolerance is None else analytic
        values = phi(grid.points)
        truth = phi(moved).unflatten(0, h.shape[:2]).mean(1)
        np.testing.assert_allclose(values + step * apply(values), truth, rtol=0, atol=tolerance or 1e-13)
        # wrong on purpose: one minibatch's increments left out
        assert (phi(moved).unflatten(0, h.shape[:2])[:, :2].mean(1) - truth).abs().max() > 1e-2


def test_chain_equals_enumeration_of_all_minibatch_sequences():
    """Three steps of SAM from one grid point: 3^3 sequences, each walked exactly."""
    f, rule, eta, rho = TiltedTorus.default(2), find_rule("sam"), 0.1, 0.2
    grid = TorusGrid(2, 25)
    phi = lambda x: torch.sin(x[..., 0]) + 0.5 * torch.cos(x[..., 1])  # noqa: E731
    chain = Evolution(grid.chain(increments(2, grid, rho), eta), eta)
    ours = chain.advance(phi(grid.points)[:, None], 3 * eta)[137].item()
    ends = []
    for minibatches in itertools.product(range(3), repeat=3):
        x = grid.points[137]
        for m in minibatches:
            x = x + eta * exact_increments(f, rule, x, rho)[m]
        ends.append(phi(x).item())
    assert ours == pytest.approx(np.mean(ends), abs=1e-6)


@pytest.mark.parametrize("dim", DIMS)
def test_small_steps_are_not_differences(dim):
    """``(P phi - phi) / eta``, up to ``O(eta)`` the mean directional derivative; a difference has 4 digits left."""
    grid, eta = TorusGrid(dim, RESOLUTION[dim]), 1e-12
    phi, h = Polynomial(dim, grid.resolution // 2), increments(dim, grid)
    truth = sum(h.mean(1)[:, i, None] * phi.partial(grid.points, i) for i in range(dim))
    np.testing.assert_allclose(grid.chain(h, eta)(phi(grid.points)), truth, rtol=0, atol=1e-9)


@pytest.mark.parametrize("steps", [2**10, 2**14])
def test_rounding_of_many_steps(steps):
    """Below 1e-15 of the largest value per step: a power of the dense matrix in 80 bits."""
    grid, eta = TorusGrid(1, 17), 1 / steps
    h = increments(1, grid)
    values = analytic(grid.points)
    found = Evolution(grid.chain(h, eta), eta).advance(values, 1.0)
    x = grid.points.numpy()[:, 0].astype(np.longdouble)
    tau, k = 2 * np.longdouble("3.14159265358979323846"), np.arange(1, 9)
    exact = tau * np.arange(17) / 17
    moved = (exact[:, None] + h.numpy()[:, :, 0].astype(np.longdouble) / steps)[..., None, None]
    assert np.abs(exact - x).max() < 1e-15
    dense = ((1 + 2 * np.cos(k * (moved - exact[:, None])).sum(-1)) / 17).mean(1)
    truth = np.linalg.matrix_power(dense, steps) @ values.numpy().astype(np.longdouble)
    error = float(np.abs(found.numpy() - truth).max())
    assert error < 1e-15 * steps * float(values.abs().max())


def test_chunks_change_nothing(monkeypatch):
    grid = TorusGrid(3, 7)
    values, apply = analytic(grid.points), grid.chain(increments(3, grid), 0.25)
    whole = apply(values)
    for chunk in (10 * 7**2 * 2, 1):  # ten points at a time, and less than one
        monkeypatch.setattr(torus_grid, "_CHUNK", chunk)
        np.testing.assert_allclose(apply(values), whole, rtol=0, atol=1e-13)


def fields(dim, count, seed=0):
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((count, dim, dim))
    return draw.standard_normal((count, dim)), root @ root.transpose(0, 2, 1)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("noisy", [True, False])
def test_generator_against_dense_differentiation_matrices(dim, noisy):
    grid, step = TorusGrid(dim, 9), 0.3
    b, sigma = fields(dim, len(grid.points))
    sigma = sigma * noisy
    d = dense_derivatives(grid)
    truth = sum(b[:, i, None] * d[i] for i in range(dim))
    pairs = itertools.product(range(dim), repeat=2)
    truth = truth + 0.5 * step * sum(sigma[:, i, j, None] * (d[i] @ d[j]) for i, j in pairs)
    values = analytic(grid.points)
    found = grid.generator(torch.from_numpy(b), torch.from_numpy(sigma), step)(values)
    np.testing.assert_allclose(found, truth @ values.numpy(), rtol=0, atol=1e-12)


def test_generator_in_three_dimensions():
    """Closed form on a polynomial of the highest degree."""
    grid, step = TorusGrid(3, 7), 0.3
    b, sigma = fields(3, len(grid.points))
    phi = Polynomial(3, 3)
    truth = sum(b[:, i, None] * phi.partial(grid.points, i).numpy() for i in range(3))
    for i, j in itertools.product(range(3), repeat=2):
        truth = truth + 0.5 * step * sigma[:, i, j, None] * phi.partial(grid.points, i, j).numpy()
    found = grid.generator(torch.from_numpy(b), torch.from_numpy(sigma), step)(phi(grid.points))
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dim", DIMS)
def test_generator_against_the_solvable_sde(dim):
    """Constant drift and covariance: E cos(k . (x + b t + s W_t)) = exp(-k s^2 k t / 2) cos(k . (x + b t))."""
    grid, eta, t = TorusGrid(dim, 7), 0.3, 0.7
    n = len(grid.points)
    b = torch.tensor([0.4, -1.1, 0.6], dtype=torch.float64)[:dim]
    sigma = torch.tensor([[2.0, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 0.7]], dtype=torch.float64)[:dim, :dim]
    k = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)[:dim]
    phi = torch.cos(grid.points @ k)[:, None]
    truth = (-0.5 * eta * t * k @ sigma @ k).exp() * torch.cos((grid.points + t * b) @ k)[:, None]

    def after(covariance):
        semigroup = Evolution(grid.generator(b.expand(n, dim), covariance.expand(n, dim, dim), eta))
        return semigroup.advance(phi, t)

    np.testing.assert_allclose(after(sigma), truth, rtol=0, atol=1e-12)
    # wrong on purpose: forgetting the mixed derivatives, and in one dimension the half
    wrong = after(sigma.diag().diag() if dim > 1 else 2 * sigma)
    assert (wrong - truth).abs().max() > 0.02


@pytest.mark.parametrize("resolution", [-3, 1, 8])
def test_resolution(resolution):
    with pytest.raises(InputError, match=f"resolution {resolution} is not an odd number of at least 3; try 21"):
        TorusGrid(1, resolution)
