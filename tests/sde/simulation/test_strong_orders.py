"""Every scheme that can follow a Brownian path has the strong order that it declares.

Linear problems without sampling, by the mean square error; those with a solution on paths, by the mean error. The
number of paths was planned: a pilot with half as many gave a slope's standard error of at most 0.02.
"""

import math
from functools import cache

import numpy as np
import pytest
import torch

from eigensam.sde.simulation.scheme import SCHEMES

from .strong_orders import exact_strong_slope, mean_square_error, path_errors, path_slope
from .suite import CASES
from .wrong import changed

TOLERANCE = 0.1
PATHS, GROUPS, COUNTS = 4000, 20, (16, 32, 64, 128)
SETTLED = ["L1", "P1", "P2", "S1 at 1"]
"""Problems whose errors have one order from 16 steps on; in the others small noise lets a higher one come first."""

LINEAR = [name for name, case in CASES.items() if case.degree == 2 and not case.timed]
DECLARED = [(name, noise) for name, scheme in SCHEMES.items() for noise in scheme.strong_order]


def pairs(cases):
    return [(name, case) for name, noise in DECLARED for case in cases if CASES[case].sde.noise == noise]


def declared(name, case):
    return SCHEMES[name].strong_order[CASES[case].sde.noise]


@cache
def slope(name, case):
    return exact_strong_slope(SCHEMES[name], CASES[case].twin or CASES[case])


@pytest.mark.parametrize(("name", "case"), pairs(LINEAR))
def test_no_linear_problem_converges_more_slowly_than_declared(name, case):
    assert slope(name, case) >= declared(name, case) - TOLERANCE


@pytest.mark.parametrize(("name", "noise"), DECLARED)
def test_no_declaration_is_too_modest(name, noise):
    """Some problem with this kind of noise converges exactly as fast as declared."""
    lowest = min(slope(*pair) for pair in pairs(LINEAR) if pair[0] == name and CASES[pair[1]].sde.noise == noise)
    assert lowest == pytest.approx(SCHEMES[name].strong_order[noise], abs=TOLERANCE)


@pytest.mark.parametrize(("name", "case"), pairs(SETTLED))
def test_paths_converge_as_declared(name, case):
    found, error = path_slope(SCHEMES[name], CASES[case], COUNTS, PATHS, GROUPS)
    assert 3 * error <= 0.06
    assert abs(found - declared(name, case)) + 3 * error <= TOLERANCE


@pytest.mark.parametrize(("name", "case"), pairs(["A2", "T1"]))
def test_paths_with_small_noise_converge_no_more_slowly(name, case):
    found, error = path_slope(SCHEMES[name], CASES[case], COUNTS, PATHS, GROUPS)
    assert found - 3 * error >= declared(name, case) - TOLERANCE


@pytest.mark.parametrize("name", [name for name, noise in DECLARED if noise == "commuting"])
def test_ten_commuting_columns(name):
    """C1 as published."""
    found, error = path_slope(SCHEMES[name], CASES["C1"], COUNTS[:3], PATHS // 4, GROUPS)
    assert found - 3 * error >= declared(name, "C1") - TOLERANCE


# the measurement itself


@pytest.mark.parametrize("count", [1, 7, 64])
def test_the_mean_square_error_of_geometric_brownian_motion(count):
    """In closed form: ``E X^2``, ``E X X_n`` and ``E X_n^2`` are powers."""
    mu, sigma, h = 1.01, 0.87, 1 / count
    exact = math.exp((2 * mu + sigma**2) * h)
    mixed = math.exp(mu * h) * (1 + mu * h + sigma**2 * h)
    own = (1 + mu * h) ** 2 + sigma**2 * h
    truth = (exact**count - 2 * mixed**count + own**count) / 4
    assert mean_square_error(SCHEMES["euler-maruyama"], CASES["L1"], count)[0] == pytest.approx(truth, rel=1e-9)


@pytest.mark.parametrize("name", [name for name, noise in DECLARED if noise == "commuting"])
def test_the_mean_square_error_of_paths(name):
    """Of C1's twin: within four standard errors of 20 000 paths, few enough to be a test although tails are heavy."""
    case, count = CASES["C1"].twin, 4
    fine = 0.5 * torch.randn(20_000, count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    squares = path_errors(SCHEMES[name], case, count, fine).numpy() ** 2
    expected = mean_square_error(SCHEMES[name], case, count)[0]
    assert abs(squares.mean() - expected) <= 4 * squares.std() / len(squares) ** 0.5
    assert 4 * squares.std() / len(squares) ** 0.5 <= 0.3 * expected


# wrong on purpose


def without_correction():
    """Milstein's declarations, Euler's step."""
    return type("Wrong", (type(SCHEMES["milstein"]),), {"step": type(SCHEMES["euler-maruyama"]).step})()


@pytest.mark.parametrize("case", ["L1", "L2", "C1"])
def test_milstein_without_its_correction_is_noticed(case):
    assert exact_strong_slope(without_correction(), CASES[case].twin or CASES[case]) < 1 - 0.4


@pytest.mark.parametrize("case", SETTLED)
def test_milstein_without_its_correction_is_noticed_on_paths(case):
    found, error = path_slope(without_correction(), CASES[case], COUNTS, PATHS, GROUPS)
    assert found + 3 * error < 1 - 0.3


@pytest.mark.parametrize("name", [name for name, noise in DECLARED if noise == "general"])
def test_another_brownian_path_is_noticed(name):
    """Of the same law, so no weak order tells."""
    wrong = changed(SCHEMES[name], lambda scheme, sde, t, x, h, dw, signs: (sde, t, x, h, -dw, signs))
    for case in ("L1", "T2 off its line"):
        assert exact_strong_slope(wrong, CASES[case]) < 0.1
    assert path_slope(wrong, CASES["P2"], COUNTS[:3], PATHS, GROUPS)[0] < 0.1


def test_heun_taken_for_a_scheme_of_ito_is_noticed():
    wrong = type("Wrong", (type(SCHEMES["heun"]),), {"calculus": "ito"})()
    assert exact_strong_slope(wrong, CASES["L1"]) < 0.1
    assert path_slope(wrong, CASES["P2"], COUNTS[:3], PATHS, GROUPS)[0] < 0.1


def test_time_that_stands_still_is_noticed_on_paths():
    """A2 by Euler's scheme with the coefficients of the start."""

    def from_the_start(scheme, sde, t, x, h, dw, signs):
        return sde, torch.zeros_like(t), x, h, dw, signs

    found, _ = path_slope(changed(SCHEMES["euler-maruyama"], from_the_start), CASES["A2"], COUNTS[:3], PATHS, GROUPS)
    assert found < 0.1


def test_slopes_are_reproducible():
    """Noise belongs to a path and its number."""
    once, again = (path_slope(SCHEMES["milstein"], CASES["P1"], COUNTS[:2], 200, 4) for _ in range(2))
    np.testing.assert_equal(once, again)
