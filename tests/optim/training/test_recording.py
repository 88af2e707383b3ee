"""Curvature along a training: it changes no bit of it, goes on with it, and is read back."""

import dataclasses
import hashlib
import json
import math

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import CurvatureRecorder, DataSet, Run
from eigensam.optim import EigenSAMSettings, TrainSettings, train

from .kept import files, kill_at

SETTINGS = TrainSettings(
    EigenSAMSettings(refresh_every=3), data="own", model="own", epochs=2, batch_size=16, record_every=2
)
RECORDED = {"curvature.jsonl", "curvature.frozen.safetensors"}


@pytest.fixture(scope="module")
def mine():
    torch.manual_seed(0)
    x = torch.randn(70, 3)
    return DataSet("mine", x, (x[:, 0] > 0).long(), x[:8], torch.zeros(8).long(), classes=2, augmentable=False)


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture(scope="module")
def whole(mine, tmp_path_factory):
    return train(SETTINGS, mine, tmp_path_factory.mktemp("whole") / "run", model=network())


@pytest.mark.parametrize("optimizer", ["eigen-sam", "vasso", "random-sam", "momentum-sam"])
def test_the_training_is_the_same_to_the_last_bit(mine, tmp_path, optimizer):
    """Weights, running statistics, metrics: with batch norm, and methods that keep vectors or draw numbers."""
    settings = dataclasses.replace(SETTINGS, optimizer=optimizer)
    for every in (3, 0):
        train(dataclasses.replace(settings, record_every=every), mine, tmp_path / str(every), model=network())
    recorded, plain = files(tmp_path / "3"), files(tmp_path / "0")
    assert recorded.keys() - plain.keys() == RECORDED
    assert all(recorded[name] == plain[name] for name in plain if name != "settings.json")
    assert not Run(tmp_path / "0", network()).curvature


def test_moved_statistics_would_be_seen(mine, tmp_path, monkeypatch):
    """Wrong on purpose: a measurement that passes data through the network itself."""
    model, measured = network(), CurvatureRecorder.step

    def careless(self, step, x=None, u=None):
        model(mine.train_inputs[:4])
        return measured(self, step, x, u)

    settings = dataclasses.replace(SETTINGS, optimizer="sgd", epochs=1, record_every=0)
    train(settings, mine, tmp_path / "plain", model=network())
    monkeypatch.setattr(CurvatureRecorder, "step", careless)
    train(dataclasses.replace(settings, record_every=1), mine, tmp_path / "careless", model=model)
    name = "checkpoint.safetensors"
    assert files(tmp_path / "plain")[name] != files(tmp_path / "careless")[name]


@pytest.mark.parametrize(("killed_at", "save_minutes"), [(1, math.inf), (3, 0.0), (6, 0.0), (7, math.inf)])
def test_rows_of_a_killed_run_go_on_bit_for_bit(whole, mine, tmp_path, killed_at, save_minutes):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, mine, tmp_path / "run", model=network(), save_minutes=save_minutes, progress=kill_at(killed_at))
    assert (tmp_path / "run.partial" / "curvature.jsonl").is_file()
    train(SETTINGS, mine, tmp_path / "run", model=network(), resume=True)
    assert files(tmp_path / "run") == files(whole.directory)


def test_more_epochs_later_have_the_rows_of_one_training(mine, tmp_path):
    settings = dataclasses.replace(SETTINGS, optimizer="sgd", schedule="constant")
    train(dataclasses.replace(settings, epochs=1), mine, tmp_path / "a", model=network())
    train(settings, mine, tmp_path / "a", model=network(), resume=True)
    train(settings, mine, tmp_path / "b", model=network())
    name = "curvature.jsonl"
    assert files(tmp_path / "a")[name] == files(tmp_path / "b")[name]


def test_rows_are_those_of_dense_hessians(mine, tmp_path):
    """At the first and the last point, whose parameters are kept."""
    settings = dataclasses.replace(SETTINGS, optimizer="sgd", epochs=1, record_every=4)
    run = train(settings, mine, tmp_path / "run", model=network())
    assert [row["step"] for row in run.curvature] == [0, 4]
    for row, initial in zip(run.curvature, (True, False), strict=True):
        model = run.network(initial=initial).train()
        named = {name: p.detach() for name, p in model.named_parameters()}

        def loss(x, rows, model=model, named=named):
            parts = x.split([p.numel() for p in named.values()])
            state = {name: part.view(p.shape) for (name, p), part in zip(named.items(), parts, strict=True)}
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            outputs = functional_call(model, {**state, **buffers}, (mine.train_inputs[rows],))
            return cross_entropy(outputs, mine.train_targets[rows])

        x = torch.cat([p.flatten() for p in named.values()])
        digest = hashlib.sha256(b"measured examples").digest()
        numbers = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        batches = torch.randperm(70, generator=numbers)[:64].split(16)
        dense = [torch.autograd.functional.hessian(lambda x: loss(x, rows), x) for rows in batches]  # noqa: B023
        values, vectors = torch.linalg.eigh(torch.stack(dense).mean(0).double())
        gradients = [torch.autograd.functional.jacobian(lambda x: loss(x, rows), x) for rows in batches]  # noqa: B023
        assert row["lambda_1"] == pytest.approx(values[-1].item(), rel=1e-3)
        assert row["lambda_2"] == pytest.approx(values[-2].item(), rel=1e-2)
        assert row["lambda_min"] == pytest.approx(values[0].item(), abs=2e-3 * values[-1].item())
        cosines = [abs(g.double() @ vectors[:, -1]) / g.norm() for g in gradients]
        assert row["alignment"] == pytest.approx(sum(cosines).item() / 4, rel=1e-2)
        sharpness = [g @ h @ g / (g @ g) for g, h in zip(gradients, dense, strict=True)]
        assert row["batch_sharpness"] == pytest.approx(sum(sharpness).item() / 4, rel=1e-4)


def test_what_a_run_says(whole):
    assert [row["step"] for row in whole.curvature] == [0, 2, 4, 6, 8]
    assert math.isnan(whole.curvature[0]["alignment"])  # Eigen-SAM has no eigenvector yet
    assert 0 <= whole.curvature[1]["alignment"] <= 1
    assert all(row["frozen_at"] == 0 for row in whole.curvature)
    assert all(row["curvature_seconds"] > 0 for row in whole.metrics)


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-1]))],
)
def test_rows_that_were_lost_are_refused(mine, tmp_path, damage):
    settings = dataclasses.replace(SETTINGS, optimizer="sgd", epochs=1)
    run = train(settings, mine, tmp_path / "run", model=network())
    damage(tmp_path / "run" / "curvature.jsonl")
    with pytest.raises(InputError, match=r"curvature\.jsonl"):
        _ = run.curvature


def test_a_network_without_a_hessian_is_refused_and_leaves_nothing(mine, tmp_path):
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * torch.rand(())  # no function of its inputs

        @staticmethod
        def backward(ctx, g):
            return g

    class Noise(nn.Module):
        def forward(self, x):
            return Once.apply(x)

    model = nn.Sequential(nn.Linear(3, 6), Noise(), nn.Linear(6, 2))
    with pytest.raises(InputError):
        train(dataclasses.replace(SETTINGS, optimizer="sgd"), mine, tmp_path / "run", model=model)
    assert list(tmp_path.iterdir()) == []


def test_rows_of_a_command_that_was_killed_in_its_first_epoch_are_not_continued(mine, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, mine, tmp_path / "run", model=network(), progress=kill_at(1))
    other = dataclasses.replace(SETTINGS, batch_size=32, epochs=1)
    run = train(other, mine, tmp_path / "run", model=network(), resume=True)
    assert [row["step"] for row in run.curvature] == [0, 2]


@pytest.mark.parametrize(("name", "value"), [("record_every", -1), ("record_examples", 0)])
def test_settings_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} = {value}"):
        dataclasses.replace(SETTINGS, **{name: value})


def test_the_command_says_what_it_cost_and_draws(cli, tmp_path):
    outcome = cli(
        "train", "--epochs", 1, "--model", "mlp32", "--optimizer", "sgd", "--batch-size", 400, "--record-every", 2,
        "--record-examples", 400, "--out", tmp_path / "run", "--json", tmp_path / "a.json",
        "--plot", tmp_path / "a.svg",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert "curvature was measured 2 times: " in outcome.out
    assert "% of the time of the steps" in outcome.out
    found = json.loads((tmp_path / "a.json").read_text())["curvature"]
    assert [row["step"] for row in found["rows"]] == [0, 2]
    assert found["seconds"] > 0 < found["share"]
    assert (tmp_path / "a.svg").stat().st_size > 10_000
