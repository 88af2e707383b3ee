"""What TensorBoard is given: with its own package where it is installed, and with a stand-in everywhere."""

import dataclasses
import sys
import types

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import DataSet
from eigensam.optim import TensorBoardLog, TrainSettings, train

from .kept import files, kill_at

SETTINGS = TrainSettings("sgd", data="own", model="own", epochs=2, batch_size=16, record_every=3)


@pytest.fixture(scope="module")
def mine():
    torch.manual_seed(0)
    x = torch.randn(64, 3)
    return DataSet("mine", x, (x[:, 0] > 0).long(), x[:8], torch.zeros(8).long(), classes=2, augmentable=False)


def network():
    torch.manual_seed(1)
    return nn.Linear(3, 2)


class Writer:
    """As torch's, but what it writes can be looked at."""

    made: list["Writer"]

    def __init__(self, log_dir, purge_step=None):
        self.folder, self.purge_step, self.scalars, self.closed = log_dir, purge_step, [], False
        self.made.append(self)

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def close(self):
        self.closed = True


@pytest.fixture
def writers(monkeypatch):
    Writer.made = []
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    return Writer.made


def curve(writer, tag):
    return [(step, value) for found, value, step in writer.scalars if found == tag]


def test_metrics_learning_rate_and_curvature(writers, mine, tmp_path):
    run = train(SETTINGS, mine, tmp_path / "run", model=network(), progress=TensorBoardLog(tmp_path / "board"))
    (writer,) = writers
    assert (writer.folder, writer.purge_step, writer.closed) == (str(tmp_path / "board"), 0, True)
    ends = (4, 8)  # steps
    for name in ("train_loss", "test_accuracy", "gradient_norm", "seconds"):
        assert curve(writer, f"epoch/{name}") == list(zip(ends, (row[name] for row in run.metrics), strict=True))
    assert curve(writer, "learning rate") == list(zip(ends, (row["lr"] for row in run.metrics), strict=True))
    for name in ("lambda_1", "batch_sharpness"):
        assert curve(writer, f"curvature/{name}") == [(row["step"], row[name]) for row in run.curvature]
    assert [step for step, _ in curve(writer, "curvature/gap")] == [0, 3, 6]
    assert not curve(writer, "epoch/epoch")


def test_steps_reach_the_bar_too_and_the_training_is_the_same(writers, mine, tmp_path):
    seen = []
    log = TensorBoardLog(tmp_path / "board", progress=lambda done, steps, latest: seen.append((done, steps)))
    train(SETTINGS, mine, tmp_path / "a", model=network(), progress=log)
    train(SETTINGS, mine, tmp_path / "b", model=network())
    assert seen == [(done, 8) for done in range(1, 9)]
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("killed_at", [1, 6, 7])
def test_no_step_twice_after_a_kill(writers, mine, tmp_path, killed_at):
    log = TensorBoardLog(tmp_path / "board", progress=kill_at(killed_at))
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, mine, tmp_path / "run", model=network(), save_minutes=0.0, progress=log)
    again = TensorBoardLog(tmp_path / "board", resume=True)
    run = train(SETTINGS, mine, tmp_path / "run", model=network(), resume=True, progress=again)
    first, second = writers
    assert first.closed
    for tag in {tag for tag, _, _ in first.scalars + second.scalars}:
        shown = [each for each in curve(first, tag) if each[0] < second.purge_step] + curve(second, tag)
        steps = [step for step, _ in shown]
        assert steps == ([0, 3, 6] if tag.startswith("curvature") else [4, 8])
        if not tag.endswith("seconds"):
            name = tag.partition("/")[2] or "lr"
            assert [value for _, value in shown] == [
                row[name] for row in (run.curvature if tag.startswith("curvature") else run.metrics)
            ]


def test_what_is_not_finite_is_left_out(writers, mine, tmp_path):
    settings = dataclasses.replace(SETTINGS, optimizer="eigen-sam", epochs=1)
    train(settings, mine, tmp_path / "run", model=network(), progress=TensorBoardLog(tmp_path / "board"))
    assert [step for step, _ in curve(writers[0], "curvature/alignment")] == [3]  # no eigenvector at step 0


def test_a_training_that_fails_closes_its_file(writers, mine, tmp_path):
    settings = dataclasses.replace(SETTINGS, lr=1e30, record_every=0)
    with pytest.raises(InputError):
        train(settings, mine, tmp_path / "run", model=network(), progress=TensorBoardLog(tmp_path / "board"))
    assert writers[0].closed


def test_folders_that_do_not_do(writers, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        TensorBoardLog(tmp_path / "file")
    (tmp_path / "events.out.tfevents.1.host.2.0").touch()
    with pytest.raises(InputError, match="holds the events of another training"):
        TensorBoardLog(tmp_path)
    TensorBoardLog(tmp_path, resume=True)


def test_without_the_package(monkeypatch, refused, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    line = refused("train", "--epochs", 1, "--out", tmp_path / "run", "--tensorboard", tmp_path / "board")
    assert "run: pip install tensorboard" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["run", "run/board", "run.partial", "run.partial/board"])
def test_a_folder_in_the_run_directory(writers, refused, tmp_path, place):
    line = refused("train", "--epochs", 1, "--out", tmp_path / "run", "--tensorboard", tmp_path / place)
    assert "is in the run directory" in line
    assert not writers


def test_the_command(writers, cli, tmp_path):
    outcome = cli(
        "train", "--optimizer", "sgd", "--epochs", 1, "--batch-size", 400, "--out", tmp_path / "run", "--tensorboard",
        tmp_path / "board",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert f"tensorboard --logdir {tmp_path / 'board'}" in outcome.out
    assert [step for step, _ in curve(writers[0], "epoch/test_loss")] == [3]


def test_the_package_itself_shows_no_step_twice(mine, tmp_path):
    """Files as TensorBoard reads them."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = tmp_path / "board"
    log = TensorBoardLog(board, progress=kill_at(7))
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, mine, tmp_path / "run", model=network(), progress=log)
    log = TensorBoardLog(board, resume=True)
    run = train(SETTINGS, mine, tmp_path / "run", model=network(), resume=True, progress=log)
    shown = EventAccumulator(str(board))
    shown.Reload()
    assert [event.step for event in shown.Scalars("epoch/train_loss")] == [4, 8]
    assert [event.step for event in shown.Scalars("curvature/lambda_1")] == [0, 3, 6]
    for event, row in zip(shown.Scalars("curvature/batch_sharpness"), run.curvature, strict=True):
        assert event.value == pytest.approx(row["batch_sharpness"], rel=1e-6)
