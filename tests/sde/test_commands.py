"""``eigensam weak-order``: verdicts as exit codes, JSON, refusals."""

import json

import pytest

from eigensam import sde
from eigensam.sde import commands


def test_pass(cli, tmp_path):
    outcome = cli("weak-order", "sam", "--drift-order", 3, "--rho-exponent", "1/3", "--json", tmp_path / "w.json")
    assert outcome.code == 0
    assert "pass: last slope 1.0" in outcome.out
    result = json.loads((tmp_path / "w.json").read_text())
    assert {"etas", "errors", "slopes", "expected", "verdict"} <= result.keys()
    assert result["slopes"][-1] == pytest.approx(1, abs=0.05)
    assert len(result["etas"]) == len(result["errors"]) == len(result["slopes"]) + 1


def test_fail_exits_with_1(cli, tmp_path, monkeypatch):
    """The wrong model: half the third-order coefficient."""
    wrong = lambda *a, **k: sde.verify_on_torus(*a, coefficients=(1, 1, 0.25), **k)  # noqa: E731
    monkeypatch.setattr(commands, "verify_on_torus", wrong)
    outcome = cli("weak-order", "sam", "--json", tmp_path / "w.json")
    assert outcome.code == 1
    assert "fail: last slope 0.7" in outcome.out
    assert json.loads((tmp_path / "w.json").read_text())["verdict"] == "fail"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["newton"], "unknown rule 'newton'"),
        (["sam", "--drift-order", 4], "drift order 4"),
        (["sam", "--rho-exponent", "-1/3"], "rho exponent -1/3 is not positive"),
        (["sam", "--rho-exponent", "big"], "--rho-exponent 'big' is not a number"),
        (["sam", "--rho-scale", "0"], "rho must be > 0"),
        (["sam", "--etas", "1/3,1/7.5"], "is not a number"),
        (["sam", "--etas", "0.3,0.2"], "eta = 0.3 does not divide T = 1"),
        (["sam", "--horizon", "0.9"], "does not divide T = 0.9"),
        (["sam", "--dim", 3], "no default tilted torus in dimension 3"),
        (["sam", "--dim", 2, "--resolution", 999], "dense operators need 3 to 2500 grid points"),
        (["sam", "--resolution", 10], "not an odd number"),
    ],
)
def test_refusals(refused, tmp_path, arguments, message):
    assert message in refused("weak-order", *arguments, "--json", tmp_path / "w.json")
    assert list(tmp_path.iterdir()) == []
