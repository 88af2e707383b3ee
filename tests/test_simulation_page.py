"""The scripts and commands of docs/simulation.md run as they stand, each in a folder of its own."""

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import eigensam

TEXT = (Path(eigensam.__file__).parent / "docs" / "simulation.md").read_text()
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(r"^eigensam (simulate .*)$", TEXT, re.MULTILINE)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


def test_there_are_some():
    assert len(SCRIPTS) == TEXT.count("```python") >= 12
    assert len(COMMANDS) == TEXT.count("\neigensam ") == 5


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_script(script, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(script, "docs/simulation.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert printed.strip()
    assert "object at 0x" not in printed
    for picture in re.findall(r'\.plot\("(.*?)"\)', script):
        assert Path(picture).stat().st_size > 1000


@pytest.mark.parametrize("command", COMMANDS)
def test_command(cli, command):
    assert cli(*shlex.split(command)).code == 0
    for file in re.findall(r"--(?:plot|json) (\S+)", command):
        assert Path(file).stat().st_size > 1000


def test_several_processes_print_what_one_does(tmp_path, capsys):
    (script,) = (each for each in SCRIPTS if "is_torchelastic_launched" in each)
    (tmp_path / "script.py").write_text(script)
    exec(script, {"__name__": "__main__"})
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    # The first lines say how long each would take. Not the exit code: when all is printed, torch's threads now and then
    # abort a process as it leaves ("terminate called without an active exception").
    found = subprocess.run(launched, capture_output=True, text=True, check=False)
    assert found.stdout.splitlines()[1:] == capsys.readouterr().out.splitlines()[1:], found.stderr
