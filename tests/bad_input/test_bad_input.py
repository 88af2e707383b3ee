"""Bad input, over all commands: exit code 2, one line on stderr, nothing written, no work begun."""

import os

import pytest
import typer

from eigensam import cli

from .files import workshop
from .table import TABLE

__all__ = ["workshop"]


def _listing(root):
    found = {}
    for entry in os.scandir(root):
        status = entry.stat(follow_symlinks=False)
        found[entry.path] = (status.st_mtime_ns, status.st_size)
        if entry.is_dir(follow_symlinks=False):
            found |= _listing(entry.path)
    return found


@pytest.fixture(scope="module")
def untouched(workshop):
    """The folder as it was made: compared after each line."""
    return _listing(workshop)


@pytest.fixture(scope="module")
def command():
    """Typer builds the command anew for each call, which takes longer than most refusals."""
    return typer.main.get_command(cli.app)


def test_the_table_is_long_and_has_no_line_twice():
    assert len(TABLE) > 400
    assert len({tuple(map(str, line)) for line in TABLE}) == len(TABLE)


@pytest.fixture(autouse=True)
def _no_work(monkeypatch):
    """What is refused is refused before; nor may a test that fails write where it must not."""
    for work in (
        "optim.training.train.Training",
        "paper_figures.measuring.measured",
        "landscapes.measured_spectrum.lanczos_quadrature",
        "sde.simulation.simulate.Ensemble",
    ):
        monkeypatch.setattr(f"eigensam.{work}", lambda *_, **__: pytest.fail("work began"))


@pytest.mark.parametrize("arguments", TABLE, ids=lambda line: " ".join(map(str, line))[:70] or "-")
def test_bad_input(refused, workshop, untouched, command, monkeypatch, arguments):
    monkeypatch.chdir(workshop)
    monkeypatch.setattr(cli, "app", command)
    refused(*arguments)
    assert _listing(workshop) == untouched
