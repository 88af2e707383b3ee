"""The scripts and commands of docs/training_sdes.md run as they stand, and say what the page says."""

import re
import shlex
import warnings
from pathlib import Path

import pytest

import eigensam
from eigensam.sde import derive
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.statements import parse_statements

TEXT = (Path(eigensam.__file__).parent / "docs" / "training_sdes.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(r"^eigensam (derive .*)$", TEXT, re.MULTILINE)
MEASURED = re.findall(r"^eigensam (weak-order .*|simulate .*)$", TEXT, re.MULTILINE)
VALLEY, THREE = (next(script for script in SCRIPTS if file in script) for file in ("valley.json", "three.json"))


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def run(script):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(script, "docs/training_sdes.md", "exec"), {"__name__": "__main__"})


def test_there_are_some():
    assert len(SCRIPTS) == TEXT.count("```python") == 4
    assert len(COMMANDS) == 13
    assert len(MEASURED) == 3
    assert len(COMMANDS) + len(MEASURED) == TEXT.count("\neigensam ")


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_script(script, capsys):
    run(script)
    printed = capsys.readouterr().out
    assert "object at 0x" not in printed
    if "print(sde)" in script:
        (shown,) = re.findall(r"which prints\n\n```text\n(.*?)```", TEXT, re.DOTALL)
        assert printed == shown
    elif script is VALLEY:
        assert "= 189.868" in printed


@pytest.mark.parametrize("command", COMMANDS)
def test_command(cli, command):
    run(VALLEY)
    outcome = cli(*shlex.split(command))
    assert outcome.code == 0
    assert "proved" in outcome.out
    for file in re.findall(r"--(?:proof|json) (\S+)", command):
        assert Path(file).stat().st_size > 1000
    if "kappa" in command or "1/10*eta" in command:
        assert "\n  dx = b_x dt\n  dm = b_m dt + √η Σ^(1/2) dW\n" in outcome.out
    if "--landscape" in command:
        assert "= 189.868" in outcome.out


def test_schedules_inside_and_outside(cli):
    outside, inside = (
        cli(*shlex.split(command)).out for command in COMMANDS if "--schedule" in command and "rho*" not in command
    )
    assert "+ ½ ε s' ∇f" in outside
    assert "+ 19/2 ε s' ∇f" in inside


def test_the_table_of_statements():
    """Each row is a rule that is derived, with the effective rate that the text says."""
    rows = re.findall(r"^\| [^|]+ \| `([^`]*=[^`]*)`(?:, `--inner-steps (\d+)`)? \|$", TEXT, re.MULTILINE)
    assert len(rows) == 6
    rates = {}
    for text, steps in rows:
        recursion = Recursion("row", parse_statements(text), inner_steps=int(steps or 1))
        rates[text] = derive(recursion, 1, 1).rate
    assert sorted(map(str, rates.values())) == ["1", "1/2", "10", "10", "10", "10"]


def test_decimals_are_fractions():
    one, other = (Recursion("r", parse_statements(f"m = {beta}*m + g; x = x - eta*m")) for beta in ("9/10", "0.9"))
    assert one.step == other.step


@pytest.mark.parametrize("command", MEASURED)
def test_measured(cli, command):
    run(THREE)
    outcome = cli(*shlex.split(command))
    assert outcome.code == 0, outcome.err
    assert "eps = 2 eta" in outcome.out or "eps = 10 eta" in outcome.out
    assert ("pass: slope" in outcome.out) == command.startswith("weak-order")
