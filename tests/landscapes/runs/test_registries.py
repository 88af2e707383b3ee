"""A network and a data set of another package: in the help, in a run, in what the run says of itself."""

import dataclasses
import json

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import DATA, MODELS, DataSet, Run, load_data
from eigensam.landscapes.runs.data_source import DataSource


class Noise(DataSource):
    built_in = True

    def load(self, name, root, *, download):
        inputs, targets = torch.randn(96, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(96) % 3
        return DataSet(name, inputs, targets, inputs[:6], targets[:6], 3, False)


def line(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))


@pytest.fixture
def others(monkeypatch):
    """Found by entry points, once somebody asks."""

    class Point:
        def __init__(self, registry, name, entry):
            self.registry, self.name, self.entry = registry, name, entry

        def load(self):
            self.registry.register(self.name)(self.entry)

    points = {"eigensam.model": [Point(MODELS, "line", line)], "eigensam.data": [Point(DATA, "noise", Noise())]}
    for registry in (MODELS, DATA):
        list(registry)
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_complete", False)
    monkeypatch.setattr("eigensam.ground.registry.entry_points", lambda group: points.get(group, []))


def test_in_the_help_in_a_run_and_in_its_json(cli, refused, others, tmp_path):
    shown = " ".join(cli("train", "--help").out.replace("│", " ").split())
    assert (
        "mlp, mlp32, mlp32-bn, cnn2, cnn2-bn, cnn4, cnn6, resnet18, resnet50, wrn28-10, vit-b-16, random-filters, line"
        in shown
    )
    assert "digits, mnist, fashion-mnist, cifar10, cifar100, svhn, noise" in shown
    assert "data that are not built in" in refused("train", "--out", tmp_path / "r", "--data", "noise", "--download")
    arguments = ("--data", "noise", "--model", "line", "--epochs", 1, "--batch-size", 32, "--optimizer", "sgd")
    assert cli("train", "--out", tmp_path / "r", *arguments).code == 0
    run = Run(tmp_path / "r")
    assert (run.settings["data"], run.settings["model"]) == ("noise", "line")
    assert repr(run).endswith("line on noise with sgd, seed 0)")
    assert sum(p.numel() for p in run.network().parameters()) == 17 * 3
    assert run.landscape(batch_size=48).size == 2
    assert cli("spectrum", tmp_path / "r", "--json", tmp_path / "s.json").code == 0
    assert len(json.loads((tmp_path / "s.json").read_text())["eigenvalues"]) == 1


def test_data_of_others_are_looked_at(others, monkeypatch):
    whole = Noise.load

    def short(self, name, root, *, download):
        data = whole(self, name, root, download=download)
        return dataclasses.replace(data, train_targets=data.train_targets[:-1])

    monkeypatch.setattr(Noise, "load", short)
    with pytest.raises(InputError, match=r"training inputs have .* labels"):
        load_data("noise")
