"""Weak order from paths: intervals that cover, verdicts that fail when they should, runs that repeat bit for bit."""

import json
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic, TiltedTorus
from eigensam.sde import (
    TorusGrid,
    affine_moments,
    derive,
    drift_and_covariance,
    exact_increments,
    find_rule,
    truncate,
    verify_monte_carlo,
)
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.coupled_paths import level
from eigensam.sde.weak_order.evolution import Evolution
from eigensam.sde.weak_order.monte_carlo import _intervals, _Run
from eigensam.sde.weak_order.one_step import default_points, polynomial_test_functions
from eigensam.sde.weak_order.plans import MonteCarloPlan

from .planned import planned

USAM = find_rule("usam")
F = Quadratic.random(3, size=4)
SMALL = {"landscape": F, "etas": [1 / 4, 1 / 8], "paths": 600}


def exact_errors(f, sde, etas, horizon, rho_scale=0.8, exponent=0.5):
    """Of E a.x and E (b.x)^2, by the closed recursion."""
    k = np.arange(1, f.dim + 1)
    a, b = np.cos(k) / np.linalg.norm(np.cos(k)), np.sin(2 * k) / np.linalg.norm(np.sin(2 * k))
    result = []
    for eta in etas:
        found = affine_moments(
            sde, landscape=f, start=default_points(f)[0], eta=eta, horizon=horizon, rho=rho_scale * eta**exponent
        )
        difference = (found.chain - found.solution).numpy()
        result.append([a @ difference[:-1, -1], b @ difference[:-1, :-1] @ b])
    return np.array(result)


def test_intervals_cover_the_exact_error():
    """95 +- 3 % of 200 small replications in ten dimensions, for two test functions and two step sizes."""
    f, etas, paths = Quadratic.random(10), [1 / 4, 1 / 8], 256
    sde = derive(USAM, 1, "1/2")
    truth = exact_errors(f, sde, etas, horizon=0.5)
    claim = Claim.checked(sde, f, etas, 0.8, None, None)
    levels = [
        level(claim, eta, round(0.5 / eta), default_points(f)[0], lambda x: polynomial_test_functions(x)[:, :2])
        for eta in etas
    ]
    hits, shrunk = np.zeros((2, 2)), np.zeros((2, 2))
    for seed in range(200):  # the main runs of verify_monte_carlo, without the pilots
        statistics = _Run(levels, seed, paths, 1).main(paths, None, lambda done, total: None)
        errors, half_widths = (part.reshape(2, 2) for part in _intervals(statistics, 0.95))
        hits += np.abs(errors - truth) <= half_widths
        shrunk += np.abs(errors - truth) <= 0.8 * half_widths
    assert np.all(np.abs(hits / 200 - 0.95) <= 0.03), hits
    assert np.any(np.abs(shrunk / 200 - 0.95) > 0.03)  # wrong on purpose: narrower intervals are found out


def test_the_same_seed_gives_the_same_bits(monkeypatch):
    """Whatever the chunk size and the number of processes; another seed does not."""
    monkeypatch.setattr("eigensam.sde.weak_order.monte_carlo._BLOCK", 100)
    sde = derive(USAM, 1, "1/2")
    first = verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL)).details["all_errors"]
    for other in ({}, {"chunk_size": 1}, {"chunk_size": 250}, {"chunk_size": 10**6}):
        assert verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL, **other)).details["all_errors"] == first
    assert verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL, seed=1)).details["all_errors"] != first


def test_processes_give_the_same_bits():
    """Two processes; blocks are as large as by default, since a process has no patched constant."""
    sde, run = derive(USAM, 1, "1/2"), {**SMALL, "paths": 9000}
    one, two = (verify_monte_carlo(sde, **planned(MonteCarloPlan, **run, jobs=jobs)) for jobs in (1, 2))
    assert one.details["all_errors"] == two.details["all_errors"]
    assert one.details["all_half_widths"] == two.details["all_half_widths"]


def test_a_killed_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    monkeypatch.setattr("eigensam.sde.weak_order.monte_carlo._BLOCK", 100)
    sde, state = derive(USAM, 1, "1/2"), tmp_path / "state.json"
    whole = verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL, chunk_size=100))
    chunk, computed = _Run._chunk, []

    def killed(self, firsts, paths):
        computed.extend(firsts)
        if len(computed) == 4:
            raise KeyboardInterrupt
        return chunk(self, firsts, paths)

    monkeypatch.setattr(_Run, "_chunk", killed)
    with pytest.raises(KeyboardInterrupt):
        verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL, chunk_size=100, state=state))
    assert json.loads(state.read_text())["blocks"] == 3
    again = verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL, chunk_size=200, state=str(state)))
    assert computed == [0, 100, 200, 300, 300, 400, 500]
    assert again.to_dict() == whole.to_dict()
    with pytest.raises(InputError, match=r"of another run, which differs in seed \(0 there, 1 here\)"):
        verify_monte_carlo(sde, **planned(MonteCarloPlan, **SMALL, seed=1, state=state))


def test_orders_on_the_torus():
    """SAM at beta = 1/2: the right SDE passes, the first-order one has its own order and fails the claim of 1."""
    f, sam = TiltedTorus.default(2), find_rule("sam")
    fine, coarse = ([2.0**-k for k in range(first, first + 3)] for first in (4, 3))  # a failure shows sooner
    right = verify_monte_carlo(derive(sam, 1, "1/2"), f, etas=fine, rho_scale=0.4)
    assert right.verdict == "pass", right.reason
    assert abs(right.slope - 1) + right.details["slope_half_width"] <= right.tolerance
    assert min(right.details["variance_ratio"]) > 100
    wrong = verify_monte_carlo(truncate(sam, "1/2", 1), f, etas=coarse, plan=MonteCarloPlan(expected=1))
    assert wrong.verdict == "fail"
    assert wrong.slope == pytest.approx(0.5, abs=0.05)


def test_order_2_on_a_quadratic():
    """And what breaks it there: the correction's sign; and what a linear function does not see: the noise."""
    f, sgd = Quadratic.random(1, seed=4), find_rule("sgd")
    etas = [1 / 4, 1 / 8, 1 / 16]
    sde = derive(sgd, 2, 1)
    right = verify_monte_carlo(sde, landscape=f, etas=etas, plan=MonteCarloPlan(most_paths=60_000))
    assert right.slope == pytest.approx(2, abs=0.15)
    assert right.verdict == "inconclusive"
    assert "rho^0 of the noise, without which the order is 1" in right.reason
    wrong = replace(sde, correction={k: c * Fraction(-1) for k, c in sde.correction.items()})
    found = verify_monte_carlo(wrong, landscape=f, etas=etas, plan=MonteCarloPlan(expected=2, paths=4000))
    assert found.verdict == "fail"
    assert found.slope == pytest.approx(1, abs=0.15)


def test_errors_are_those_of_the_exact_torus():
    """A second truth for SAM, which has no closed moments: both operators on a grid that has the start as its point."""
    f, sam = TiltedTorus.default(1), find_rule("sam")
    sde, etas = derive(sam, 1, "1/2"), [1 / 8, 1 / 16]
    sampled = verify_monte_carlo(
        sde,
        landscape=f,
        etas=etas,
        start=torch.zeros(1).double(),
        plan=MonteCarloPlan(paths=4000, test_functions=lambda x: x.sin()),
    )
    grid = TorusGrid(1, 61)
    x, phi = grid.points[:, None], grid.points.sin()
    for eta, (error,), (width,) in zip(
        etas, sampled.details["all_errors"], sampled.details["all_half_widths"], strict=True
    ):
        rho = 0.8 * eta**0.5
        chain = Evolution(grid.chain(exact_increments(f, sam, x, rho), eta), eta).advance(phi, 1.0)
        semigroup = Evolution(grid.generator(*drift_and_covariance(f, sde, x, rho, eta), eta)).advance(phi, 1.0)
        truth = (chain - semigroup)[0].item()
        assert abs(error - truth) < 1.5 * width
        assert abs(truth) > 4 * width  # so that 0, or the other sign, would not pass


def test_a_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    data = torch.randn(24, 2).double(), torch.randint(3, (24,))
    f = NetworkLandscape.from_tensors(model, nn.functional.cross_entropy, *data, batch_size=12, points_per_pass=4096)
    run = {"landscape": f, "etas": [1 / 4, 1 / 8, 1 / 16], "horizon": 1 / 4, "rho_scale": 0.6, "paths": 256}
    right = verify_monte_carlo(derive(find_rule("usam"), 1, "1/2"), **planned(MonteCarloPlan, **run))
    assert right.verdict == "pass", right.reason
    assert len(right.details["all_errors"][0]) == 4  # three polynomials and the loss
    wrong = verify_monte_carlo(truncate(find_rule("usam"), "1/2", 1), **planned(MonteCarloPlan, **run, expected=1))
    assert wrong.verdict == "fail", wrong.reason


def test_an_integrator_that_matters_is_said(monkeypatch):
    """A method of order 1 in place of the right one: half steps change the result as much as the SDE is off."""
    wrong = lambda drift, x, time: x + time * (1 + 2 * time) * drift(x)  # noqa: E731
    monkeypatch.setattr("eigensam.sde.simulation.splitting.runge_kutta_step", wrong)
    found = verify_monte_carlo(derive(USAM, 1, "1/2"), **planned(MonteCarloPlan, **SMALL))
    assert found.verdict == "inconclusive"
    assert re.search(r"the SDE's integrator changes by \d+% of the error at eta = 0.125 when its steps", found.reason)


def test_noise_is_not_made_into_a_slope():
    """Order 2 from a hundred paths: nothing is resolved, and the verdict says so, with the numbers."""
    found = verify_monte_carlo(
        derive(find_rule("sgd"), 2, 1),
        landscape=Quadratic.random(10),
        etas=[1 / 16, 1 / 32],
        plan=MonteCarloPlan(paths=100),
    )
    assert found.verdict == "inconclusive"
    assert re.search(r"Monte-Carlo noise.* dominates", found.reason)
    assert "+-" in found.reason
    assert np.isnan(found.slope)


def test_the_plan_resolves_what_it_keeps():
    """Order 2 with few paths allowed: small step sizes are given up before paths are wasted on them."""
    etas = [2.0**-k for k in range(2, 7)]
    found = verify_monte_carlo(
        derive(find_rule("sgd"), 2, 1), landscape=F, etas=etas, plan=MonteCarloPlan(most_paths=4000)
    )
    assert 2 <= len(found.etas) < 5
    assert found.etas == etas[: len(found.etas)]
    assert found.details["planned"] <= 4000
    assert found.verdict in ("pass", "inconclusive")


def test_more_paths_narrower_intervals():
    sde = derive(USAM, 1, "1/2")
    few, many = (
        verify_monte_carlo(sde, **planned(MonteCarloPlan, **{**SMALL, "paths": n})).details["half_widths"]
        for n in (500, 8000)
    )
    assert np.array(few) / np.array(many) == pytest.approx(4.0, rel=0.2)


def test_blocks_bound_the_memory():
    """What a run holds at a time does not grow with its paths: blocks of at most 2^20 numbers per tensor."""
    sde = derive(USAM, 1, "1/2")
    sizes = []
    draw = _Run._noise

    def spied(self, stream, substeps, first, count):
        sizes.append(count)
        return draw(self, stream, substeps, first, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Run, "_noise", spied)
        verify_monte_carlo(sde, **planned(MonteCarloPlan, **{**SMALL, "paths": 30_000}))
    assert max(sizes) == 4096
    assert sum(sizes) == 30_000 + 2048


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"etas": [1 / 8]}, "at least two and decreasing"),
        ({"etas": [1 / 8, 1 / 12]}, "eta = 0.125 is not a multiple of the smallest, 0.0833333"),
        ({"etas": [0.3, 0.1]}, "does not divide T = 1"),
        ({"paths": 1}, "paths = 1; give at least 32 and at most"),
        ({"most_paths": 0}, "most paths = 0; give at least 32 and at most"),
        ({"jobs": 0}, "jobs = 0; give at least 1 and at most 1024"),
        ({"confidence": 1.0}, "confidence = 1.0"),
        ({"chunk_size": 0}, "chunk size = 0"),
        ({"seed": -1}, "seed -1 is not a whole number"),
        ({"start": torch.zeros(2)}, "start has shape (2,); expected (3,)"),
        ({"landscape": None}, "found NoneType; expected a landscape"),
        ({"sde": USAM}, "found Rule; expected an SDE"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_monte_carlo(**planned(MonteCarloPlan, **{"sde": derive(USAM, 1, "1/2"), **SMALL, **arguments}))
