"""Killed between two saves within an epoch, and resumed: the same bits, whatever the training draws or scales."""

import dataclasses

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import DataSet
from eigensam.optim import EigenSAMSettings, TrainSettings, train
from eigensam.optim.training import train as train_module
from eigensam.optim.training.state import load_state, save_state

from .kept import files, kill_at

NATURAL = DataSet(
    "natural",
    torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(1)),
    torch.arange(60) % 4,
    torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(2)),
    torch.arange(8) % 4,
    classes=4,
    augmentable=True,
)
METHODS = ["sgd", "sam", EigenSAMSettings(refresh_every=4)]


class Steep(nn.Module):
    """Whose gradients overflow in float16 at the scale that a scaler begins with."""

    def forward(self, x):
        return 300 * x


def network(*last):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 4), *last
    )


def settings_of(method, **changes):
    """Six steps an epoch."""
    return TrainSettings(method, data="own", model="own", epochs=2, batch_size=10, lr=0.01, augment=True, **changes)


def killed_and_whole(settings, folder, monkeypatch, killed_at, last=()):
    """The state that was saved last, and whether the resumed run is the one that was not disturbed."""
    saves = []

    def save_every_second(path, state):
        saves.append(path)
        if len(saves) % 2 or state["step"] == 0:
            save_state(path, state)

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "save_state", save_every_second)
        with pytest.raises(KeyboardInterrupt):
            train(
                settings, NATURAL, folder / "killed", model=network(*last), save_minutes=0, progress=kill_at(killed_at)
            )
    state = load_state(folder / "killed.partial" / "state.safetensors")
    torch.rand(11)
    train(settings, NATURAL, folder / "killed", model=network(*last), resume=True)
    train(settings, NATURAL, folder / "whole", model=network(*last))
    return state, files(folder / "killed") == files(folder / "whole")


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("killed_at", [4, 10])
def test_same_bits(tmp_path, monkeypatch, method, precision, killed_at):
    steep = [Steep()] if precision == "float16" else []
    settings = settings_of(method, precision=precision)
    state, same = killed_and_whole(settings, tmp_path, monkeypatch, killed_at, steep)
    assert same
    assert 0 < state["step"] < killed_at - 6 * len(state["metrics"])  # the steps after it are made again
    if precision == "float16":
        assert state["precision"]["scale"] < 65536  # what is kept of it counts
    else:
        assert state["precision"] == {}


@pytest.mark.parametrize("lost", ["random_states", "precision"])
def test_what_is_not_kept_would_change_the_run(tmp_path, lost):
    """Wrong on purpose: a state whose random numbers, or whose scale, are those of a beginning."""
    settings = settings_of("sam", precision="float16")
    with pytest.raises(KeyboardInterrupt):
        train(settings, NATURAL, tmp_path / "r", model=network(Steep()), save_minutes=0, progress=kill_at(4))
    path = tmp_path / "r.partial" / "state.safetensors"
    state = load_state(path)
    torch.manual_seed(0)
    fresh = {"random_states": [{"cpu": torch.get_rng_state()}], "precision": {**state["precision"], "scale": 65536.0}}
    save_state(path, {**state, lost: fresh[lost]})
    train(settings, NATURAL, tmp_path / "r", model=network(Steep()), resume=True)
    train(settings, NATURAL, tmp_path / "whole", model=network(Steep()))
    assert files(tmp_path / "r") != files(tmp_path / "whole")


def test_a_state_of_more_processes_is_refused_and_stays(tmp_path):
    settings = settings_of("sgd")
    with pytest.raises(KeyboardInterrupt):
        train(settings, NATURAL, tmp_path / "r", model=network(), save_minutes=0, progress=kill_at(3))
    path = tmp_path / "r.partial" / "state.safetensors"
    state = load_state(path)
    save_state(path, {**state, "identity": {**state["identity"], "processes": "4"}})
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"differs in processes \(4 there, 1 here\)"):
        train(settings, NATURAL, tmp_path / "r", model=network(), resume=True)
    with pytest.raises(InputError, match=r"has lr = 0.01, this command 0.02"):
        train(dataclasses.replace(settings, lr=0.02), NATURAL, tmp_path / "r", model=network(), resume=True)
    assert path.read_bytes() == before
