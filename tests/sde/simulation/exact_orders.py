"""Weak errors of schemes without any path: expectations over a step's increments are sums over all of their values.

A *law* lists all values of ``(dw, signs)`` with their probabilities; for normal increments, a Gauss-Hermite rule.
"""

import itertools
import math

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch import Tensor
from torch.func import vmap

from eigensam.sde.simulation.problems.calculus import converted
from eigensam.sde.simulation.scheme import Scheme

from .generator import generator, polynomials
from .suite import Case

POINTS = {
    "two-point": ([-1.0, 1.0], [0.5, 0.5]),
    "three-point": ([-(3**0.5), 0.0, 3**0.5], [1 / 6, 2 / 3, 1 / 6]),
}
"""Values of an increment of unit variance, and their probabilities."""

COUNTS = tuple(2**k for k in range(5, 15))
TIMED_COUNTS = (16, 32, 64, 128)
GRID_COUNTS = (128, 256, 512, 1024)
"""Numbers of steps: of powers of one matrix, of one matrix for each step, of matrices on a grid."""

START = torch.zeros(1, dtype=torch.float64)
CLEAR = 50
"""An error is looked at if it is that many times its rounding."""


def points(increments: str, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    if increments != "normal":
        return tuple(map(np.array, POINTS[increments]))
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return places, weights / weights.sum()


def law(scheme: Scheme, noise_dim: int, h: float, nodes: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Increments ``(Q, m)``, signs ``(Q, m (m - 1) / 2)`` or ``(Q, 0)``, probabilities ``(Q,)``."""
    values, chances = points(scheme.increments, nodes)
    count = scheme.sign_count(noise_dim)
    increments = np.array(list(itertools.product(values, repeat=noise_dim)))
    probability = np.array([math.prod(each) for each in itertools.product(chances, repeat=noise_dim)])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=count))).reshape(2**count, count)
    dw = np.repeat(h**0.5 * increments, len(signs), axis=0)
    return (
        torch.from_numpy(dw),
        torch.from_numpy(np.tile(signs, (len(increments), 1))),
        torch.from_numpy(np.repeat(probability, len(signs)) / len(signs)),
    )


def steps(scheme: Scheme, case: Case, h: float, times: Tensor, x: Tensor, nodes: int = 4) -> tuple[Tensor, Tensor]:
    """From points ``(n, d)`` at times ``(k,)`` with all increments: ``(k, n, Q, d)``, and probabilities ``(Q,)``."""
    sde = converted(case.sde, scheme.calculus)
    noise_dim = sde.diffusion(times[0], x[0]).shape[1]
    dw, signs, probability = law(scheme, noise_dim, h, nodes)

    def step(t: Tensor, x: Tensor, dw: Tensor, signs: Tensor) -> Tensor:
        return scheme.step(sde, t, x, h, dw, signs)

    every = vmap(vmap(vmap(step, (None, None, 0, 0)), (None, 0, None, None)), (0, None, None, None))
    return every(times, x, dw, signs), probability


def moment_maps(scheme: Scheme, case: Case, h: float, times: Tensor, seed: int) -> Tensor:
    """``E p(X(t + h)) = p(x) @ M_t`` for the polynomials ``p`` of the case's degree, fitted and checked at points."""
    count = polynomials(case.start, case.degree).shape[-1] + 5
    x = torch.randn(count, len(case.start), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    ends, probability = steps(scheme, case, h, times, x)
    expected = torch.einsum("q,tnqk->tnk", probability, polynomials(ends, case.degree))
    basis = polynomials(x, case.degree).expand(len(times), -1, -1)
    found = torch.linalg.lstsq(basis, expected).solution
    torch.testing.assert_close(basis @ found, expected, rtol=0, atol=1e-11)
    return found


def moment_errors(scheme: Scheme, case: Case, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every expectation after so many steps, and their rounding: what fits at other points change."""
    h, found = case.horizon / count, []
    times = h * torch.arange(count if case.timed else 1, dtype=torch.float64)
    for seed in range(3):
        moments = polynomials(case.start, case.degree)
        for once in moment_maps(scheme, case, h, times, seed):
            moments = moments @ torch.linalg.matrix_power(once, count // len(times))
        found.append([(moments @ weights(case, each)).item() - each.value for each in case.expectations])
    return np.array(found[0]), np.ptp(found, axis=0)


def weights(case: Case, expectation) -> Tensor:
    """A test function's coefficients in the polynomials."""
    basis_size = polynomials(case.start, case.degree).shape[-1]
    x = torch.randn(basis_size, len(case.start), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return torch.linalg.solve(polynomials(x, case.degree), vmap(expectation.phi)(x))


def grid_errors(
    scheme: Scheme, case: Case, count: int, size: int = 150, nodes: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Of every expectation of a scalar nonlinear case: Kolmogorov's backward equation of the chain, on a grid.

    ``v(x) = E v(X(h))`` is a matrix for functions that splines of degree 7 interpolate from their values at the grid.
    """
    into, back, low, high = case.chart
    h = case.horizon / count
    grid = np.linspace(low, high, size)
    spline = make_interp_spline(grid, np.eye(size), k=7)
    x = back(torch.from_numpy(grid))[:, None]
    ends, probability = steps(scheme, case, h, START, x, nodes=24)
    places = into(ends[0, ..., 0]).clamp(low, high).numpy()
    once = np.einsum("q,nqk->nk", probability, spline(places))
    values = np.stack([vmap(each.phi)(x).numpy() for each in case.expectations], -1)
    for _ in range(count):
        values = once @ values
    at_start = spline(into(case.start).numpy()) @ values
    truth = np.array([each.value for each in case.expectations])
    return at_start[0] - truth, np.full(len(truth), 1e-14)


def weak_slopes(scheme: Scheme, case: Case) -> list[float]:
    """The order of each expectation that the smallest steps show."""
    if not case.degree:
        return settled_slopes(lambda count: grid_errors(scheme, case, count), GRID_COUNTS)
    return settled_slopes(lambda count: moment_errors(scheme, case, count), TIMED_COUNTS if case.timed else COUNTS)


def local_slopes(scheme: Scheme, case: Case) -> list[float]:
    """The order of one step's error in all moments up to the second: one more than the weak order."""
    generated = generator(case)
    start = polynomials(case.start, 2)

    def errors(count: int) -> tuple[np.ndarray, np.ndarray]:
        h = 1 / count
        ends, probability = steps(scheme, case, h, START, case.start[None], nodes=8)
        found = torch.einsum("q,qk->k", probability, polynomials(ends[0, 0], 2))
        error = (found - start @ torch.linalg.matrix_exp(h * generated))[1:]  # less that of the constant
        return error.numpy(), np.full(len(error), 1e-15)

    return settled_slopes(errors, (32, 64, 128, 256))


def settled_slopes(errors_of, counts) -> list[float]:
    """A fit to at most three halvings, the last that are clear of rounding; infinite where there is none."""
    errors, doubts = np.abs(np.array([errors_of(count) for count in counts])).swapaxes(0, 1)
    slopes = []
    for error, doubt in zip(errors.T, doubts.T, strict=True):
        kept = np.flatnonzero(error > CLEAR * np.maximum(doubt, 1e-16))[-4:]
        fit = np.polyfit(np.log2(np.array(counts)[kept]), -np.log2(error[kept]), 1)[0] if len(kept) > 1 else math.inf
        slopes.append(float(fit))
    return slopes
