"""What ``eigensam train`` does where torchrun has started it; with real processes: ``../parallel/test_training.py``."""

import dataclasses

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import read_metrics
from eigensam.optim import TrainSettings, train
from eigensam.optim.training.ranks import Ranks
from eigensam.optim.training.torchrun import _own_device, processes_here, restarted

from .kept import kill_at

OPTIONS = ("train", "--optimizer", "sgd", "--epochs", 2, "--subset", 200, "--device", "cpu")
SETTINGS = TrainSettings("sgd", epochs=2, subset=200)


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")  # of a scheduler, say
    assert (processes_here(), restarted(), Ranks.found()) == (1, False, Ranks(0, 1))


@pytest.fixture
def restart(monkeypatch):
    """torchrun with one process, which has been lost."""
    for name, value in (("TORCHELASTIC_RUN_ID", "a"), ("WORLD_SIZE", "1"), ("TORCHELASTIC_RESTART_COUNT", "1")):
        monkeypatch.setenv(name, value)


def test_a_restart_goes_on(restart, cli, digits, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, digits, tmp_path / "r", progress=kill_at(4))
    began = read_metrics(tmp_path / "r.partial")
    outcome = cli(*OPTIONS, "--out", tmp_path / "r")
    assert outcome.code == 0, outcome
    assert read_metrics(tmp_path / "r")[:1] == began  # with its clock: it was not made anew


def test_a_restart_of_a_finished_run_has_nothing_to_do(restart, cli, refused, digits, tmp_path):
    """A process was lost on its way out; the result is written nevertheless."""
    train(SETTINGS, digits, tmp_path / "r")
    before = read_metrics(tmp_path / "r")
    outcome = cli(*OPTIONS, "--out", tmp_path / "r", "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome
    assert "is finished already" in outcome.out
    assert (tmp_path / "a.json").is_file()
    assert read_metrics(tmp_path / "r") == before
    assert "exists already, a finished run" in refused(*OPTIONS, "--seed", 1, "--out", tmp_path / "r")


def test_a_restart_replaces_no_run_that_was_in_the_way(restart, refused, digits, tmp_path):
    """The first attempt was refused, and torchrun starts whatever ends with an error again."""
    longer = dataclasses.replace(SETTINGS, schedule="constant")
    train(longer, digits, tmp_path / "r")
    asked = [longer.epochs + 1 if each == longer.epochs else each for each in OPTIONS]
    assert "exists already, a finished run" in refused(*asked, "--schedule", "constant", "--out", tmp_path / "r")
    assert len(read_metrics(tmp_path / "r")) == longer.epochs


def test_seeds_are_not_for_several_processes(refused, tmp_path, monkeypatch):
    from eigensam.optim.training import run_seeds

    monkeypatch.setattr(run_seeds, "processes_here", lambda: 2)
    assert "start it without torchrun" in refused(*OPTIONS, "--out", tmp_path / "r", "--seeds", "0-1")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_in_the_way_of_a_first_start(refused, digits, tmp_path):
    train(SETTINGS, digits, tmp_path / "r")
    assert "exists already, a finished run" in refused(*OPTIONS, "--out", tmp_path / "r")


def test_devices_of_several_processes(monkeypatch):
    from eigensam.optim.training import torchrun

    assert _own_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torchrun, "find_device", lambda name: torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.accelerator, "set_device_index", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert [_own_device(name) for name in ("auto", "cuda")] == [torch.device("cuda:1")] * 2
    assert chosen == [1, 1]
    with pytest.raises(InputError, match="cuda:0 is one device for all processes; give --device cuda, one for each"):
        _own_device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="process 2 has no cuda of its own, there are 2; start no more processes"):
        _own_device("cuda")


def test_ranks_are_data():
    assert dataclasses.astuple(Ranks(3, 4)) == (3, 4)
    assert not Ranks(3, 4).first
    with pytest.raises(InputError, match=r"batch_size = 10, of all processes together, .* give a multiple of 4"):
        Ranks(3, 4).check_size(10, 1)
    Ranks().check_size(7, 7)
