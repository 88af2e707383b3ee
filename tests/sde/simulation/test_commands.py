"""``eigensam simulate``: a run against its exact law, options, JSON, pictures, resuming, refusals."""

import json
import re
from typing import get_args

import matplotlib.image
import numpy as np
import pytest

from eigensam.ground import InputError
from eigensam.sde.simulation.command_settings import BACKENDS, ROOTS, SimulateSettings
from eigensam.sde.simulation.kernels.stepper import Backend
from eigensam.sde.simulation.problems.derived_problem import Root

QUADRATIC = {"kind": "quadratic", "hessian": [[2.0, 0.0], [0.0, 0.5]], "centres": [[1.0, 0.0], [-1.0, 2.0]]}
FORMULA = {"kind": "formula", "coordinates": ["x", "y"], "losses": ["x**2 + sin(y)", "(x - 1)**2 + y**4/4 + x*y"]}
SHORT = ("simulate", "sam", "--paths", 300, "--horizon", 1, "--backend", "eager", "--scheme", "euler-maruyama")


@pytest.fixture
def landscape(tmp_path):
    def write(value):
        path = tmp_path / "landscape.json"
        path.write_text(json.dumps(value))
        return path

    return write


@pytest.fixture
def result(cli, tmp_path):
    """Run the command and read its JSON."""

    def run(*arguments):
        outcome = cli(*arguments, "--json", tmp_path / "result.json")
        assert outcome.code == 0, outcome.err
        return json.loads((tmp_path / "result.json").read_text()), outcome

    return run


def test_sgd_on_a_quadratic_has_its_exact_law(result, landscape):
    """The SDE of SGD is linear: mean ``c + e^{-H t} (x - c)``, variance ``eta H^2 Var(c) (1 - e^{-2 H t}) / (2 H)``.

    10^4 paths; each of the four numbers is within five standard errors with probability 1 - 1e-6, and the error of the
    splitting, ``O(h^4 + eta h^2)``, is far below one. Of the variance, a standard error is ``sqrt(2 / n)`` of it. Wrong
    on purpose: twice the noise, and half the time.
    """
    paths, eta, time = 10_000, 0.02, 0.8
    arguments = ("simulate", "sgd", "--rho-exponent", 1, "--landscape", landscape(QUADRATIC), "--start", "2,-1")
    found, outcome = result(
        *arguments, "--paths", paths, "--eta", eta, "--horizon", time, "--backend", "eager", "--seed", 3
    )
    assert found["weak_order"] == "1"
    assert "10000 paths, 40 steps of 0.02 by splitting, seed 3; eager: as asked" in outcome.out
    statistics = found["observables"]["x"]
    mean, variance = (np.array(statistics[name]["value"])[-1] for name in ("mean", "variance"))

    def law(eta, time):
        h, centre, spread = np.array([2.0, 0.5]), np.array([0.0, 1.0]), np.array([1.0, 1.0])
        decay = np.exp(-h * time)
        return centre + decay * (np.array([2.0, -1.0]) - centre), eta * h * spread * (1 - decay**2) / 2

    def fits(exact, power):
        near = abs(mean - exact) < 5 * np.sqrt(power / paths)
        return near.all() and (abs(variance / power - 1) < 5 * np.sqrt(2 / paths)).all()

    assert fits(*law(eta, time))
    assert not fits(*law(2 * eta, time))
    assert not fits(*law(eta, time / 2))


def test_json_says_what_was_asked_and_what_made_it(result, tmp_path):
    found, outcome = result(
        *SHORT, *("--eta", 0.05, "--rho", 0.2, "--trajectories", 4, "--every", 5, "--plot", tmp_path / "paths.png")
    )
    assert found["settings"] | {"eta": 0.05, "rho": 0.2, "every": 5} == found["settings"]
    assert found["landscape"]["kind"] == "torus"
    assert found["kind"] == "estimate"
    assert found["times"] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert found["observables"]["x"]["components"] == ["x[0]", "x[1]"]
    assert set(found["observables"]["x"]["quantiles"]) == {"0.05", "0.25", "0.5", "0.75", "0.95"}
    assert found["made_with"]["dtype"] == "float64"
    for part in ("weak order 1, rho = 0.2, eta = 0.05", "95 % interval", "x[1]", "path-steps per second", "estimates"):
        assert part in outcome.out
    assert "…" not in outcome.out  # no number is cut
    assert matplotlib.image.imread(tmp_path / "paths.png").shape[0] > 300


def test_chunks_change_nothing_and_a_finished_run_is_found_again(result, tmp_path):
    arguments = (*SHORT, "--checkpoint", tmp_path / "kept")
    first, outcome = result(*arguments)
    assert f"kept in {tmp_path / 'kept'}" in outcome.out
    again, outcome = result(*arguments)
    assert "all of it was there before" in outcome.out
    other, _ = result(*SHORT, "--chunk", 64)
    assert first == again
    assert first["observables"] == other["observables"]
    moved, _ = result(*SHORT, "--seed", 1)
    assert moved["observables"] != other["observables"]  # wrong on purpose


def test_a_checkpoint_of_another_run_is_refused(cli, refused, tmp_path):
    assert cli(*SHORT, "--checkpoint", tmp_path / "kept").code == 0
    message = refused(*SHORT, "--seed", 5, "--checkpoint", tmp_path / "kept")
    assert "holds another run, which differs in seed (0 there, 5 here); choose another checkpoint" in message


def test_single_precision_on_a_formula_from_a_point_of_its_own(result, landscape):
    arguments = ("simulate", "usam", "--rho-exponent", "1/2", "--landscape", landscape(FORMULA))
    options = ("--start", "-0.5,1/4", "--dtype", "float32", "--paths", 50, "--steps", 10, "--backend", "eager")
    for root in ROOTS:
        found, _ = result(*arguments, *options, "--root", root, "--quantiles", 0, "--scheme", "weak-euler")
        assert found["made_with"]["dtype"] == "float32"
        assert found["observables"]["x"]["mean"]["value"][0] == [-0.5, 0.25]
        assert "quantiles" not in found["observables"]["x"]


def test_json_on_standard_output_has_it_alone(cli):
    outcome = cli(*SHORT, "--drift-order", 1, "--dim", 1, "--json", "-")
    assert json.loads(outcome.out)["observables"]["x"]["components"] == ["x"]
    assert "path-steps per second" in outcome.err


def test_symbols_get_values(cli):
    arguments = ("simulate", "eigen-sam", "--value", "alpha=0.2", "--value", "v=3,4", "--rho-exponent", "1/2")
    assert cli(*arguments, "--paths", 20, "--steps", 2).code == 0


def test_names_are_those_of_the_engine():
    assert tuple(BACKENDS) == get_args(Backend)
    assert tuple(ROOTS) == get_args(Root)


def test_settings_are_checked():
    with pytest.raises(InputError, match=re.escape("quantiles = 0.9 must lie in [1e-4, 0.5], or be 0 for none")):
        SimulateSettings(quantiles=0.9)
    assert SimulateSettings(eta=0.5, dt=0.25).step_length == 0.25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weak-order", 1, "--drift-order", 2), "use one of both"),
        (("--scheme", "leapfrog"), "unknown scheme 'leapfrog'; choose one of: euler-maruyama"),
        (("--scheme", "heun"), "solves stratonovich problems"),
        (("--horizon", 0.25), "dt = 0.1 does not divide the horizon = 0.25"),
        (("--start", "1,2,3"), "--start 1,2,3 has 3 coordinates; give 2"),
        (("--start", "a"), "--start 'a' is not a number"),
        (("--dim", 4), "no default tilted torus in dimension 4"),
        (("--trajectories", 20_000), "trajectories = 20000 of 10000 paths"),
        (("--rho", -1), "rho = -1.0 must be at least 0"),
        (("--steps", 5, "--horizon", 2), "--horizon has no effect here: it belongs to runs without --steps"),
        (("--device", "gpu"), "no usable device 'gpu'"),
    ],
)
def test_refusals(refused, arguments, message):
    assert message in refused("simulate", "sam", *arguments)


def test_paths_that_explode_are_reported(refused, landscape):
    message = refused(
        *("simulate", "usam", "--landscape", landscape(FORMULA), "--eta", 2, "--horizon", 60, "--paths", 20),
        *("--backend", "eager", "--scheme", "euler-maruyama", "--start", 3),
    )
    assert "left the finite numbers between t = " in message
    assert "the first is path " in message


def test_outputs_may_not_meet(refused, tmp_path):
    message = refused(*SHORT, "--checkpoint", tmp_path / "a", "--json", tmp_path / "a" / "b.json")
    assert "is in the way of --checkpoint" in message
