"""The scripts and commands of docs/side-by-side.md run as they stand, one after the other in one folder."""

import re
import shlex
import warnings
from pathlib import Path

import torch

import eigensam

TEXT = (Path(eigensam.__file__).parent / "docs" / "side-by-side.md").read_text()
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(r"^eigensam (.*)$", TEXT, re.MULTILINE)


def test_there_are_some():
    assert len(SCRIPTS) == TEXT.count("```python") >= 2
    assert len(COMMANDS) == TEXT.count("\neigensam ") >= 4


def test_scripts(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for script in SCRIPTS:
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(script, "docs/side-by-side.md", "exec"), {"__name__": "__main__"})
        assert "drift order 3 is closer to sam" in capsys.readouterr().out.lower()
        for picture in re.findall(r'plot\w*\("(.*?)"', script):
            assert Path(picture).stat().st_size > 1000


def test_commands(monkeypatch, tmp_path, cli):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        outcome = cli(*shlex.split(command))
        assert outcome.code == 0, outcome.err
        for file in re.findall(r"--(?:plot|json|portrait) (\S+)", command):
            assert Path(file).stat().st_size > 1000
