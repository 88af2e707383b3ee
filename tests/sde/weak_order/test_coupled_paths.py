"""Coupled paths: against plain simulation, and what their control variates may not change: the mean."""

import math
import re

import numpy as np
import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import affine_moments, derive, exact_increments, find_rule, truncate
from eigensam.sde.simulation.noise import PathNoise
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.coupled_paths import coarser, level
from eigensam.sde.weak_order.one_step import polynomial_test_functions

F = Quadratic.random(3, size=4)
START = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)


def make(sde, eta, f=F, functions=polynomial_test_functions, start=START):
    claim = Claim.checked(sde, f, [2 * eta, eta], 0.5, None, None)
    return level(claim, eta, round(1 / eta), start, functions)


def noise(count, steps, minibatches=4, seed=0):
    return torch.from_numpy(PathNoise(seed, 0, steps * minibatches).draw(0, count)).reshape(count, steps, minibatches)


def test_the_chain_is_the_rule():
    """Path by path, against a loop in plain Python."""
    sde = derive(find_rule("sam"), 1, "1/2")
    one, z = make(sde, 1 / 4), noise(5, 4)
    ends = one._chain(z.argmax(-1))
    for i in range(5):
        x = START
        for k in range(4):
            m = int(np.argmax(z[i, k].numpy()))
            x = x + 0.25 * exact_increments(F, sde.rule, x, 0.5 * 0.5)[m]
        torch.testing.assert_close(ends[i], x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("part", ["chain", "solution"])
@pytest.mark.parametrize("p", [1, 2])
def test_means_are_those_of_exact_moments(part, p):
    """E x and E (b.x)^2 of 40 000 controlled paths against the closed recursion, within 4 standard errors."""
    sde = derive(find_rule("usam"), p, "1/2")
    eta = 1 / 8
    one = make(sde, eta)
    sampled = getattr(one, part)(noise(40_000, 8))
    exact = affine_moments(sde, landscape=F, start=START, eta=eta, horizon=1.0, rho=0.5 * eta**0.5)
    z = getattr(exact, part).numpy()
    k = np.arange(1, 4)
    a, b = np.cos(k) / np.linalg.norm(np.cos(k)), np.sin(2 * k) / np.linalg.norm(np.sin(2 * k))
    for j, truth in enumerate((a @ z[:-1, -1], b @ z[:-1, :-1] @ b)):
        error = sampled[:, j].std().item() / 200
        assert abs(sampled[:, j].mean().item() - truth) < 4 * error + 1e-3 * eta**3
        # Wrong on purpose: the other process' mean is found out, so the test can fail.
        other = getattr(exact, "solution" if part == "chain" else "chain").numpy()
        wrong = (a @ other[:-1, -1], b @ other[:-1, :-1] @ b)[j]
        if p == 1:
            assert abs(sampled[:, j].mean().item() - wrong) > 4 * error


def test_control_variates_have_mean_zero_and_remove_variance():
    one, z = make(derive(find_rule("sam"), 1, "1/2"), 1 / 16), noise(4096, 16)
    torch.testing.assert_close(one.weights.sum(1), torch.zeros(16, 3, dtype=torch.float64), rtol=0, atol=1e-15)
    plain = one.plain(z)
    assert (one.chain(z).var(0) / plain[:, 0].var(0)).max() < 0.05
    assert (one.differences(z).var(0) / plain.var(0).sum(0)).max() < 0.02
    # Without control variates the coupling alone helps, but not so much.
    alone = (plain[:, 0] - plain[:, 1]).var(0) / plain.var(0).sum(0)
    assert alone.min() > 0.1
    assert alone.max() < 0.6


def test_noise_is_shared_between_step_sizes():
    z = noise(1000, 8)
    coarse = coarser(z, 2)
    assert coarse.shape == (1000, 2, 4)
    torch.testing.assert_close(coarse[:, 0] * 2, z[:, :4].sum(1))
    assert coarse.var().item() == pytest.approx(1, abs=0.05)
    assert coarser(z, 8) is z


def test_the_integrator_has_order_3_in_the_step():
    """One step of the splitting against substeps: the mean moves like the cube of eta, or faster."""
    sde = derive(find_rule("sam"), 1, "1/2")
    f = TiltedTorus.default(2)
    start = torch.tensor([1.0, 2.0], dtype=torch.float64)
    moved = []
    for eta in (1 / 2, 1 / 4, 1 / 8):
        one = make(sde, eta, f, start=start)
        z = noise(20_000, 2 * round(1 / eta), minibatches=3)
        z = torch.cat([z, -z])
        difference = (one._solution(coarser(z, one.steps)) - one._solution(z)).mean(0)
        moved.append(difference.norm().item())
    assert moved[2] < moved[0] / 16
    assert moved[0] < 1e-2


def test_an_ode_has_no_control_variate():
    one = make(truncate(find_rule("sgd"), 1, 1, covariance_order=0), 1 / 4)
    values = one.solution(noise(10, 4))
    assert values.std(0).max() < 1e-14


def test_paths_that_diverge_are_refused():
    with pytest.raises(InputError, match=r"paths of the rule diverge at eta = 0\.5; use smaller step sizes"):
        make(truncate(find_rule("sgd"), 1, 1), 0.5, Quadratic([[1e200]], [[0.0]]), start=START[:1]).differences(
            noise(2, 2, 1)
        )


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (lambda x: x.detach(), "test functions give shape (1, 3) at 1 point, no gradient"),
        (lambda x: x.sum(-1), "test functions give shape (1,) at 1 point, with gradient"),
    ],
)
def test_unfit_test_functions(functions, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make(truncate(find_rule("sgd"), 1, 1), 0.5, functions=functions)


def test_argmax_is_uniform():
    counts = torch.bincount(noise(30_000, 1).argmax(-1).flatten(), minlength=4)
    assert (counts - 7500).abs().max() < 4 * math.sqrt(30_000 * 3 / 16)
