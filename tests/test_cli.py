"""The assembled command: every subcommand is there, documents itself and can write JSON."""

import subprocess
import sys
from pathlib import Path

import pytest

import eigensam
from eigensam.cli import app

ROOT = Path(eigensam.__file__).parent
COMMANDS = [command.name for command in app.registered_commands]


def test_commands():
    assert COMMANDS == [
        "figures",
        "derive",
        "weak-order",
        "simulate",
        "order-table",
        "train",
        "spectrum",
        "bound",
        "order-models",
        "certify",
        "assumptions",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_json(cli, command):
    outcome = cli(command, "--help")
    assert outcome.code == 0
    assert "--json" in outcome.out


@pytest.mark.parametrize(
    "command",
    [["derive", "sam"], ["weak-order", "sam"], ["simulate", "sam"], ["train", "--out", "r"], ["figures", "--out", "f"]],
)
def test_unwritable_json_is_refused_before_work(refused, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    assert "cannot write --json" in refused(*command, "--json", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_as_module_in_a_process_of_its_own():
    found = subprocess.run(
        [sys.executable, "-m", "eigensam", "weak-order", "newton"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert found.stderr.startswith("eigensam: unknown rule 'newton'; choose one of: sgd, usam, sam")
    assert found.stderr.count("\n") == 1


def test_version(cli):
    assert cli("--version").out == f"eigensam {eigensam.__version__}\n"


def test_what_the_system_refuses_is_one_line(refused, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "eigensam.optim.training.run_training.train",
        lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")),
    )
    assert "No space left" in refused("train", "--out", tmp_path / "r")


def test_unknown_option_exits_with_2(cli):
    assert cli("weak-order", "sam", "--no-such-option").code == 2


def test_readme_and_ci_agree_on_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    first_screen = "\n".join(readme.splitlines()[:24])
    assert "pip install -e . && eigensam figures --preset quick" in first_screen
    assert "pip install -e '.[test]' && pytest" in first_screen
    assert "pip install -e '.[test]' && pytest" in (ROOT / ".ci" / "run").read_text()
