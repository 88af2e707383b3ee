"""The scripts and commands of docs/training.md run as they stand, one after the other in one folder."""

import re
import shlex
import warnings
from pathlib import Path

import eigensam
from eigensam.landscapes import Run, load_tensors

TEXT = (Path(eigensam.__file__).parent / "docs" / "training.md").read_text()
BLOCKS = re.findall(r"```(python|sh)\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_some():
    assert len(BLOCKS) == TEXT.count("```") / 2 >= 5


def test_blocks(monkeypatch, tmp_path, cli, capsys):
    monkeypatch.chdir(tmp_path)
    made = 0
    for language, block in BLOCKS:
        if language == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(compile(block, "docs/training.md", "exec"), {"__name__": "__main__"})
            assert capsys.readouterr().out.strip()
            continue
        for line in block.splitlines():
            command, *arguments = shlex.split(line)
            assert command == "eigensam"
            outcome = cli(*arguments)
            assert outcome.code == 0, outcome.err
            made += 1
    assert made >= 5
    weights = [load_tensors(Path("runs") / name / "checkpoint.safetensors") for name in ("step", "again", "other")]
    same = [all((weights[0][name] == other[name]).all() for name in other) for other in weights[1:]]
    assert same == [True, False]
    assert len(list(Path("runs/sgd").glob("seed-*/checkpoint.json"))) == 4
    assert len(Run(Path("runs/longer")).metrics) == 3
    assert Run(Path("runs/sam")).settings["lr"] == 0.002
