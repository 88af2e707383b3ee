"""``eigensam weak-order``: methods, landscapes, pictures, JSON, exit codes, refusals."""

import json
import subprocess
import sys
from dataclasses import replace

import matplotlib.image
import pytest

from eigensam.landscapes import Quadratic
from eigensam.sde.weak_order.torus import verify_on_torus

QUADRATIC = {"kind": "quadratic", "hessian": [[2.0, 0.3], [0.3, 1.0]], "centres": [[1.0, 0.0], [-1.0, 0.5]]}
FORMULA = {"kind": "formula", "coordinates": ["x", "y"], "losses": ["x**2 + sin(y)", "(x - 1)**2 + y**4/4 + x*y"]}


@pytest.fixture
def landscape(tmp_path):
    def write(value):
        path = tmp_path / "landscape.json"
        path.write_text(json.dumps(value))
        return path

    return write


def test_torus(cli, tmp_path):
    outcome = cli("weak-order", "sam", "--drift-order", 3, "--rho-exponent", "1/3", "--json", tmp_path / "w.json")
    assert outcome.code == 0
    assert "pass: slope 1.0" in outcome.out
    assert "grid points per axis" in outcome.out
    result = json.loads((tmp_path / "w.json").read_text())
    assert {"etas", "errors", "slopes", "slope", "expected", "verdict", "resolution", "divisors"} <= result.keys()
    assert result["slope"] == pytest.approx(1, abs=0.05)
    assert len(result["etas"]) == len(result["errors"]) == len(result["slopes"]) + 1


def test_order_2(cli):
    outcome = cli("weak-order", "sam", "--weak-order", 2, "--rho-exponent", "2/3", "--etas", "1/512,1/1024,1/2048")
    assert outcome.code == 0
    assert "expected 2.000" in outcome.out
    assert "with correction" in outcome.out


def test_one_step_on_a_formula(cli, landscape, tmp_path):
    outcome = cli(
        *("weak-order", "sam", "--weak-order", 2, "--rho-exponent", "2/3", "--method", "one-step"),
        *("--landscape", landscape(FORMULA), "--json", tmp_path / "o.json"),
    )
    assert outcome.code == 0
    assert "local order of weak order + 1" in outcome.out
    assert json.loads((tmp_path / "o.json").read_text())["slope"] == pytest.approx(3, abs=0.015)


def test_moments(cli, landscape):
    for arguments in (("--dim", 5), ("--landscape", landscape(QUADRATIC))):
        outcome = cli(
            *("weak-order", "usam", "--weak-order", 2, "--rho-exponent", "1", "--method", "moments"),
            *("--etas", "1/256,1/512,1/1024", *arguments),
        )
        assert outcome.code == 0
        assert "all linear and quadratic test functions" in outcome.out


def test_monte_carlo_with_a_picture_and_a_state(cli, landscape, tmp_path):
    arguments = (
        *("weak-order", "usam", "--drift-order", 2, "--rho-exponent", "1/2", "--method", "monte-carlo"),
        *("--landscape", landscape(Quadratic.random(2).to_dict()), "--etas", "1/4,1/8,1/16"),
        *("--paths", 3000, "--seed", 1),
        *("--state", tmp_path / "state.json", "--plot", tmp_path / "order.png", "--json", tmp_path / "m.json"),
    )
    outcome = cli(*arguments)
    assert outcome.code == 0
    assert "3000 paths (seed 1), intervals of 95%" in outcome.out
    assert matplotlib.image.imread(tmp_path / "order.png").shape[0] > 300
    first = json.loads((tmp_path / "m.json").read_text())
    assert json.loads((tmp_path / "state.json").read_text())["count"] == 3000
    assert cli(*arguments).code == 0  # from the state: nothing is left to do
    assert json.loads((tmp_path / "m.json").read_text()) == first


def test_a_trained_network(cli, tmp_path):
    """One step in double precision at the point of a run directory."""
    assert cli("train", "--epochs", 1, "--out", tmp_path / "run").code == 0
    outcome = cli(
        *("weak-order", "usam", "--rho-exponent", "1/2", "--rho-scale", 0.3, "--method", "one-step"),
        *("--landscape", tmp_path / "run", "--batches", 2, "--batch-size", 8, "--etas", "1/16,1/32,1/64"),
        *("--json", tmp_path / "n.json"),
    )
    result = json.loads((tmp_path / "n.json").read_text())
    assert result["precision"] == "float64"
    assert outcome.code == (0 if result["verdict"] == "pass" else 1)
    assert result["slope"] == pytest.approx(2, abs=0.3)
    too_many = cli("weak-order", "usam", "--landscape", tmp_path / "run", "--batches", 1000, "--method", "one-step")
    assert too_many.code == 2
    assert "1000 batches of 32 are more than the" in too_many.err


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_vector_pictures(cli, tmp_path, suffix):
    path = tmp_path / f"order.{suffix}"
    assert cli("weak-order", "sgd", "--dim", 1, "--rho-exponent", 1, "--plot", path).code == 0
    assert path.stat().st_size > 1000


def test_symbols_get_values(cli):
    arguments = ("--dim", 1, "--value", "alpha=0.2", "--value", "v=3")
    assert cli("weak-order", "eigen-sam", "--rho-exponent", "1/2", *arguments).code == 0


def test_a_rule_as_an_expression(cli):
    outcome = cli(
        "weak-order", "grad(rho*parameter('tau')*g)", "--dim", 1, "--value", "tau=1/2", "--rho-exponent", "1/2"
    )
    assert outcome.code == 0


def test_fail_exits_with_1(cli, tmp_path, monkeypatch):
    """The wrong claim: order 2."""
    wrong = lambda *a, plan, **k: verify_on_torus(*a, plan=replace(plan, expected=2), **k)  # noqa: E731
    monkeypatch.setattr("eigensam.sde.weak_order.torus.verify_on_torus", wrong)
    outcome = cli("weak-order", "sam", "--json", tmp_path / "w.json")
    assert outcome.code == 1
    assert json.loads((tmp_path / "w.json").read_text())["verdict"] == "fail"


def test_the_assumption_check_speaks(cli, landscape):
    near = {"kind": "formula", "coordinates": ["x", "y"], "losses": ["(x - 1.42)**2 + (y - 1.46)**2", "x**2 + y"]}
    outcome = cli(
        *("weak-order", "sam", "--method", "one-step", "--landscape", landscape(near), "--precision", "float64"),
        *("--etas", "1/4,1/8,1/16", "--rho-exponent", "1/2"),
    )
    assert "assumption check: norm(g) changes by" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weak-order", 1, "--drift-order", 2), "use one of both"),
        (("--weak-order", 3), "weak order 3 is impossible"),
        (("--drift-order", 0), "drift order 0 is not available"),
        (("--dim", 4), "no default tilted torus in dimension 4"),
        (("--dim", 0, "--method", "moments"), "dim = 0"),
        (("--etas", "0.3,0.1"), "does not divide"),
        (("--etas", "1/8"), "at least two and decreasing"),
        (("--etas", "a"), "--etas 'a' is not a number"),
        (("--resolution", 20), "resolution 20 is not an odd number"),
        (("--resolution", 1001), "needs 93.5 GiB and the limit is 2 GiB"),
        (("--method", "magic"), "Invalid value for '--method'"),
        (("--method", "moments"), "is not affine"),
        (("--method", "monte-carlo", "--seed", -1), "--seed -1 is out of range"),
        (("--method", "monte-carlo", "--paths", 1), "paths = 1; give at least 32 and at most"),
        (("--plot", "x.gif"), "is not one of: .svg, .pdf, .png"),
        (("--landscape", "nowhere.json"), "cannot read nowhere.json"),
        (("--landscape", "/"), "is not a finished run"),
        (("--value", "v=1,0"), "rule 'sam' has no direction v"),
        (("--rho-exponent", "x"), "is not rational"),
    ],
)
def test_refusals(cli, arguments, message):
    outcome = cli("weak-order", "sam", *arguments)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


def test_a_landscape_where_the_gradient_vanishes(cli, landscape):
    flat = {
        "kind": "torus",
        "tilts": [[0.0, 0.0]],
        "frequencies": [[1, 0], [0, 1]],
        "amplitudes": [[1.0, 1.0]],
        "phases": [[0.0, 0.0]],
    }
    outcome = cli("weak-order", "sam", "--landscape", landscape(flat))
    assert outcome.code == 2
    assert "rule 'sam' needs norm(g) away from 0, which falls to 0" in outcome.err


def test_flags_and_help_need_no_torch():
    """Who asks for help computes nothing."""
    code = (
        "import sys, eigensam.sde.weak_order.commands\n"
        "print([name for name in ('torch', 'scipy.stats', 'matplotlib', 'sklearn') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
