"""Fixtures shared by all tests: one thread, few objects, the command line, small trained runs."""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from eigensam.cli import main
from eigensam.landscapes import DataSet, load_data
from eigensam.optim import TrainSettings, train

torch.set_num_threads(1)  # contending OpenMP threads are slower than one


@pytest.fixture(autouse=True)
def few_objects(monkeypatch):
    """What a test has not made itself is hidden from the optimizers.

    Each looks once for modules with buffers among all objects of the process; those of ten thousand tests and of all
    that they import take longer than most trainings of a test.
    """
    monkeypatch.setattr(gc, "get_freeze_count", lambda: 0)  # else the search would bring them back
    gc.collect()  # what the last test has left, while the rest is hidden
    gc.freeze()


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cli(monkeypatch, capsys) -> Callable[..., Outcome]:
    """Run the command line in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["eigensam", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def refused(cli) -> Callable[..., str]:
    """Run a command that must be refused: exit code 2, one line on stderr, no traceback; returns the line."""

    def run(*arguments: object) -> str:
        outcome = cli(*arguments)
        lines = [line for line in outcome.err.splitlines() if line.startswith("eigensam: ")]
        assert outcome.code == 2, outcome
        assert len(lines) == 1, outcome.err
        assert outcome.err.rstrip().endswith(lines[0])
        assert "Traceback" not in outcome.err
        return lines[0]

    return run


@pytest.fixture(scope="session")
def digits() -> DataSet:
    return load_data("digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory, digits) -> Path:
    """The default network, trained with SGD to the end: 10^5 parameters. Read-only."""
    return train(TrainSettings("sgd"), digits, tmp_path_factory.mktemp("trained") / "run").directory


@pytest.fixture
def f64() -> torch.dtype:
    return torch.float64
