"""The dense operators: trigonometric identities, exhaustive enumeration of the chain, and a solvable SDE."""

import itertools

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from eigensam.landscapes import InputError, TiltedTorus
from eigensam.sde import TorusGrid, exact_increments, find_rule


@pytest.mark.parametrize("dim", [1, 2])
def test_interpolation_and_derivatives_are_exact_for_trigonometric_polynomials(dim):
    grid = TorusGrid(dim, 9)
    phi = lambda x: np.sin(3 * x[:, 0]) + np.cos(x[:, 0] + 2 * x[:, -1] + 0.3)  # noqa: E731
    x = np.random.default_rng(0).uniform(-9, 9, (50, dim))
    np.testing.assert_allclose(grid.interpolation(x) @ phi(grid.points), phi(x), atol=1e-12)
    p = grid.points
    inner = np.sin(p[:, 0] + 2 * p[:, -1] + 0.3)
    first = 3 * np.cos(3 * p[:, 0]) - inner * (3 if dim == 1 else 1)
    np.testing.assert_allclose(grid.derivatives[0] @ phi(p), first, atol=1e-11)
    if dim == 2:
        np.testing.assert_allclose(grid.derivatives[1] @ phi(p), -2 * inner, atol=1e-11)


def test_transition_equals_enumeration_of_all_minibatch_sequences():
    """Three steps of SAM from one grid point: 3^3 sequences, each walked exactly."""
    f, rule, eta, rho = TiltedTorus.default(2), find_rule("sam"), 0.1, 0.2
    grid = TorusGrid(2, 25)
    phi = lambda x: np.sin(x[..., 0]) + 0.5 * np.cos(x[..., 1])  # noqa: E731
    h = exact_increments(f, rule, torch.from_numpy(grid.points)[:, None], rho).numpy()
    transition = grid.transition(h, eta)
    ours = (np.linalg.matrix_power(transition, 3) @ phi(grid.points))[137]
    ends = []
    for members in itertools.product(range(3), repeat=3):
        x = torch.from_numpy(grid.points[137])
        for m in members:
            x = x + eta * exact_increments(f, rule, x, rho)[m]
        ends.append(phi(x.numpy()))
    assert ours == pytest.approx(np.mean(ends), abs=1e-6)
    np.testing.assert_allclose(transition.sum(1), 1.0, atol=1e-12)  # probabilities


def test_generator_against_the_solvable_sde():
    """Constant drift and covariance: E cos(x + b t + s W_t) = exp(-s^2 t / 2) cos(x + b t)."""
    grid, eta, t = TorusGrid(2, 9), 0.3, 0.7
    n = len(grid.points)
    drift = np.tile([0.4, -1.1], (n, 1))
    covariance = np.tile([[2.0, 0.5], [0.5, 1.0]], (n, 1, 1))
    k = np.array([1.0, 2.0])
    semigroup = expm(t * grid.generator(drift, covariance, eta))
    truth = np.exp(-0.5 * eta * t * k @ covariance[0] @ k) * np.cos((grid.points + t * drift) @ k)
    np.testing.assert_allclose(semigroup @ np.cos(grid.points @ k), truth, atol=1e-12)
    # wrong on purpose: forgetting the mixed derivative
    wrong = expm(t * grid.generator(drift, covariance * np.eye(2), eta)) @ np.cos(grid.points @ k)
    assert np.abs(wrong - truth).max() > 0.05


@pytest.mark.parametrize("resolution", [1, 8])
def test_resolution(resolution):
    with pytest.raises(InputError, match=f"resolution {resolution} is not an odd number"):
        TorusGrid(1, resolution)
