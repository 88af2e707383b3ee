"""The orders that the splitting declares, on linear SDEs whose second moments are exact on both sides."""

import itertools
import math

import numpy as np
import pytest
import torch

from eigensam.sde.simulation.noise import PathNoise
from eigensam.sde.simulation.runge_kutta import runge_kutta_step
from eigensam.sde.simulation.splitting import splitting_mean, splitting_path

RATE, HORIZON = 1.3, 1.0


def drift(x):
    return -RATE * x


def second_moment(step, count, additive):
    """``E X^2`` after so many steps from 1: one step maps ``E X^2`` to ``p E X^2 + q``, read off at two points."""
    at_0, at_1 = (step(np.array([[start]])).item() for start in (0.0, 1.0))
    factor, value = at_1 - at_0, 1.0
    for _ in range(count):
        value = factor * value + at_0
    assert additive or at_0 == 0
    return value


def exact_second_moment(noise, additive):
    """Of ``dX = -a X dt + sqrt(s) dW`` and of ``dX = -a X dt + sqrt(s) X dW``."""
    if additive:
        return math.exp(-2 * RATE * HORIZON) * (1 - noise / (2 * RATE)) + noise / (2 * RATE)
    return math.exp((noise - 2 * RATE) * HORIZON)


def symmetric(h, noise, columns):
    scale = (noise / h) ** 0.5  # the function's noise is of variance h^2 in a step, ours of s h
    return lambda x: splitting_mean(drift, lambda y: scale * columns(y)[:, None], x, lambda y: y**2, h)


def lie(h, noise, columns):
    """Wrong on purpose: the whole drift first, then the noise."""

    def step(x):
        end = runge_kutta_step(drift, x, h)
        return end**2 + noise * h * columns(end) ** 2

    return step


def slope(scheme, noise_of, additive):
    errors, columns = [], np.ones_like if additive else (lambda x: x)
    for count in (32, 64):
        h = HORIZON / count
        found = second_moment(scheme(h, noise_of(h), columns), count, additive)
        errors.append(abs(found - exact_second_moment(noise_of(h), additive)))
    return math.log2(errors[0] / errors[1])


@pytest.mark.parametrize(
    ("scheme", "size", "additive", "order"),
    [
        (symmetric, "fixed", False, 1),
        (symmetric, "fixed", True, 2),
        (symmetric, "small", False, 3),
        (symmetric, "small", True, 3),
        (lie, "fixed", True, 1),
        (lie, "small", True, 2),
    ],
)
def test_weak_orders(scheme, size, additive, order):
    """Of the variance's error, which is what the declared orders are about; Lie's splitting is one lower."""
    noise_of = (lambda h: 0.5) if size == "fixed" else (lambda h: h)
    assert slope(scheme, noise_of, additive) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("additive", "order"), [(False, 0.5), (True, 1.0)])
def test_strong_orders(additive, order):
    """Paths of step ``h`` against the solution on the same Brownian path, in root mean square over 20 000 of them."""
    paths, finest, noise = 20_000, 256, 0.5
    z = torch.from_numpy(PathNoise(0, 0, finest).draw(0, paths)).reshape(paths, finest, 1)
    start = torch.ones(paths, 1, dtype=torch.float64)
    columns = (lambda y: torch.ones_like(y)[:, None]) if additive else (lambda y: y[:, None])

    def ends(steps):
        together = finest // steps
        normals = z.reshape(paths, steps, together, 1).sum(2) / together**0.5
        return splitting_path(drift, columns, start, normals, eta=noise, step=HORIZON / steps)

    truth = ends(finest)
    if not additive:
        w = z.sum(1) * (HORIZON / finest) ** 0.5
        truth = ((-RATE - noise / 2) * HORIZON + noise**0.5 * w).exp()
    errors = [(ends(steps) - truth).square().mean().sqrt().item() for steps in (4, 8, 16)]
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes == pytest.approx([order] * 2, abs=0.15)


def test_without_noise_two_half_steps_are_one():
    """Between kicks the drift goes on: three steps are a half, two whole and a half one."""
    x, z = torch.tensor([[0.7]], dtype=torch.float64), torch.zeros(1, 3, 1, dtype=torch.float64)
    found = splitting_path(drift, None, x, z, eta=0.1, step=0.1)
    for time in (0.05, 0.1, 0.1, 0.05):
        x = runge_kutta_step(drift, x, time)
    assert torch.equal(found, x)
