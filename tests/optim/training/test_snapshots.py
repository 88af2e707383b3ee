"""Networks along a training on disk: those of shorter trainings, whatever kills it; and what is refused."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import DataSet, Run, SpectrumSettings, load_tensors, measure_spectrum
from eigensam.optim import SAMSettings, TrainSettings, train
from eigensam.optim.training import snapshots as snapshots_module
from eigensam.optim.training import train as train_module
from eigensam.optim.training.measurement import evaluate

from .kept import files, kill_at

SHORT = TrainSettings(SAMSettings(rho=0.1), schedule="constant", epochs=2, batch_size=100, snapshot_every=2)
LONG = dataclasses.replace(SHORT, epochs=5)  # of three steps each


@pytest.fixture(scope="module")
def small(digits):
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:300], train_targets=digits.train_targets[:300])


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """Read-only."""
    return train(LONG, small, tmp_path_factory.mktemp("whole") / "run")


def _results(directory):
    """The state has the clock."""
    return {name: content for name, content in files(directory).items() if name != "state.safetensors"}


def _state(run):
    return run.network().state_dict()


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("epoch", [2, 4])
def test_a_snapshot_is_the_network_of_a_shorter_training(whole, small, tmp_path, epoch):
    """That training keeps none: the same file, and the same numbers of its network."""
    other = train(dataclasses.replace(LONG, epochs=epoch, snapshot_every=0), small, tmp_path / "r")
    snapshot = whole.directory / "snapshots" / f"epoch-{epoch:05d}.safetensors"
    assert snapshot.read_bytes() == (other.directory / "checkpoint.safetensors").read_bytes()
    found = whole.at_epoch(epoch)
    assert _same(_state(found), _state(other))
    loss = evaluate(found.network(), small.test_inputs, small.test_targets)[0]
    assert loss == found.kept["test_loss"] == other.kept["test_loss"]
    assert evaluate(whole.network(), small.test_inputs, small.test_targets)[0] != loss  # wrong on purpose
    assert [row["epoch"] for row in found.metrics] == list(range(1, epoch + 1))


def test_what_a_run_at_an_epoch_is(whole, small):
    assert (whole.snapshots, whole.epoch, len(whole.metrics)) == ([2, 4], 5, 5)
    found = whole.at_epoch(2)
    assert (found.epoch, found.settings, found.snapshots) == (2, whole.settings, [2, 4])
    assert repr(found) == repr(whole).replace("': mlp", "' after epoch 2: mlp")
    assert found.remarks == ["The network is the one after epoch 2 of 5.", *whole.remarks]
    assert _same(found.network(initial=True).state_dict(), whole.network(initial=True).state_dict())
    assert _same(_state(found.at_epoch(5)), _state(whole))
    assert _same(_state(Run(found)), _state(found))
    f = found.landscape(small, batch_size=100)
    assert torch.equal(f.point(), nn.utils.parameters_to_vector(found.network().parameters()))
    assert torch.equal(found.training_part(small).train_inputs, small.train_inputs)


def test_epoch_0_is_the_initialisation(whole):
    begin = whole.at_epoch(0)
    assert _same(_state(begin), whole.network(initial=True).state_dict())
    assert (begin.epoch, begin.metrics) == (0, [])
    assert begin.remarks[0] == "The network is the one before the first epoch."
    with pytest.raises(InputError, match="there is no row of the initialisation"):
        _ = begin.kept


@pytest.mark.parametrize("epoch", [1, -1, 6, "2", None, 2.5])
def test_an_epoch_that_was_not_kept(whole, epoch):
    with pytest.raises(
        InputError, match=rf"no network of epoch {epoch}; choose one of 0, 2, 4, 5, or .*snapshot-every"
    ):
        whole.at_epoch(epoch)


def test_without_snapshots_nothing_is_new(small, tmp_path):
    """No entry of the settings, so that older runs are the same run; and every epoch beyond its ends is refused."""
    settings = dataclasses.replace(LONG, epochs=1, snapshot_every=0)
    run = train(settings, small, tmp_path / "r")
    sidecar = json.loads((run.directory / "checkpoint.json").read_text())
    assert sidecar["sha256"].keys() == {"checkpoint.safetensors", "initial.safetensors"}
    for written in (sidecar["settings"], json.loads((run.directory / "settings.json").read_text())):
        assert "snapshot_every" not in written
        assert TrainSettings.from_dict(written) == settings
    assert not (run.directory / "snapshots").exists()
    assert run.snapshots == []
    train(settings, small, run.directory, resume=True, progress=lambda *_: pytest.fail("it trains"))
    for epochs in (1, 2):
        with pytest.raises(InputError, match="has snapshot_every = 0, this command 1"):
            train(dataclasses.replace(settings, snapshot_every=1, epochs=epochs), small, run.directory, resume=True)


def test_a_run_with_snapshots_is_not_one_without(whole, small):
    with pytest.raises(InputError, match="has snapshot_every = 2, this command 0"):
        train(dataclasses.replace(LONG, snapshot_every=0), small, whole.directory, resume=True)
    with pytest.raises(InputError, match=r"snapshot_every = -1 must be at least 0 \(none\)"):
        TrainSettings(snapshot_every=-1)


def test_more_epochs_keep_the_first_snapshots(whole, small, tmp_path):
    run = train(SHORT, small, tmp_path / "r")
    assert run.snapshots == [2]
    run = train(LONG, small, tmp_path / "r", resume=True)
    assert run.snapshots == [2, 4]
    assert _results(run.directory) == _results(whole.directory)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("change", ["damaged", "lost"])
def test_more_epochs_of_a_run_whose_snapshot_is_not_its_own(small, tmp_path, change):
    train(SHORT, small, tmp_path / "r")
    path = tmp_path / "r" / "snapshots" / "epoch-00002.safetensors"
    if change == "lost":
        path.unlink()
    else:
        shutil.copy(tmp_path / "r" / "initial.safetensors", path)
    before = _results(tmp_path / "r")
    with pytest.raises(InputError, match=r"epoch-00002.safetensors(: No such file| is not the file that the training)"):
        train(LONG, small, tmp_path / "r", resume=True)
    assert _results(tmp_path / "r") == before
    assert [each.name for each in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize(("killed_at", "save_minutes"), [(3, 10), (6, 10), (8, 0), (12, 10), (13, 0), (15, 10)])
def test_killed_and_resumed(whole, small, tmp_path, killed_at, save_minutes):
    with pytest.raises(KeyboardInterrupt):
        train(LONG, small, tmp_path / "r", progress=kill_at(killed_at), save_minutes=save_minutes)
    run = train(LONG, small, tmp_path / "r", resume=True)
    assert _results(run.directory) == _results(whole.directory)
    assert run.checkpoint.sha256 == whole.checkpoint.sha256


def test_killed_between_a_snapshot_and_its_state(whole, small, tmp_path, monkeypatch):
    """It is written again; that of a later epoch, from wherever it comes, does not stay."""

    def dies(directory, epoch, model):
        found = snapshots_module.write_snapshot(directory, epoch, model)
        if epoch == 4:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "write_snapshot", dies)
        with pytest.raises(KeyboardInterrupt):
            train(LONG, small, tmp_path / "r", save_minutes=0)
    folder = tmp_path / "r.partial" / "snapshots"
    assert sorted(path.name for path in folder.iterdir()) == ["epoch-00002.safetensors", "epoch-00004.safetensors"]
    for name in ("epoch-00004.safetensors", "epoch-00005.safetensors", ".epoch-00004.safetensors.abcdefgh"):
        (folder / name).write_text("of something else")
    run = train(LONG, small, tmp_path / "r", resume=True)
    assert _results(run.directory) == _results(whole.directory)


def test_leftovers_of_another_seed_do_not_stay(small, tmp_path, monkeypatch):
    """Killed before its first state, a training leaves a snapshot; the one that takes its place has none by then."""
    every = dataclasses.replace(SHORT, snapshot_every=1, seed=7)

    def dies(path, state):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "save_state", dies)
        with pytest.raises(KeyboardInterrupt):
            train(every, small, tmp_path / "r")
    assert (tmp_path / "r.partial" / "snapshots" / "epoch-00001.safetensors").is_file()
    run = train(SHORT, small, tmp_path / "r", resume=True)
    assert [path.name for path in (run.directory / "snapshots").iterdir()] == ["epoch-00002.safetensors"]
    assert run.snapshots == [2]


def test_a_snapshot_that_is_lost_is_said_when_an_unfinished_run_goes_on(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(LONG, small, tmp_path / "r", progress=kill_at(10))
    (tmp_path / "r.partial" / "snapshots" / "epoch-00002.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"epoch-00002.safetensors is not the file that the training has written"):
        train(LONG, small, tmp_path / "r", resume=True)
    assert (tmp_path / "r.partial" / "state.safetensors").is_file()


@pytest.mark.parametrize("name", ["notes.txt", "epoch-2.safetensors"])
@pytest.mark.parametrize("finished", [False, True])
def test_files_of_the_users_own_among_snapshots_are_kept(small, tmp_path, name, finished):
    if finished:
        train(SHORT, small, tmp_path / "r")
    else:
        with pytest.raises(KeyboardInterrupt):
            train(LONG, small, tmp_path / "r", progress=kill_at(8))
    folder = tmp_path / ("r" if finished else "r.partial") / "snapshots"
    (folder / name).write_text("mine")
    with pytest.raises(InputError, match=rf"holds snapshots/{name}"):
        train(LONG, small, tmp_path / "r", resume=True)
    assert (folder / name).read_text() == "mine"


def test_a_full_disk_in_the_first_epoch_leaves_nothing(small, tmp_path, monkeypatch):
    """The snapshot is whole, its state is not."""

    def full(path, state):
        raise InputError("cannot write: No space left on device")

    monkeypatch.setattr(train_module, "save_state", full)
    with pytest.raises(InputError, match="No space left"):
        train(dataclasses.replace(SHORT, snapshot_every=1), small, tmp_path / "a" / "r")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_a_later_snapshot_keeps_the_epochs_before(whole, small, tmp_path, monkeypatch):
    def full(path, tensors):
        raise InputError(f"cannot write {path}: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots_module, "save_tensors", full)
        with pytest.raises(InputError, match=r"epoch-00002.safetensors: No space left"):
            train(LONG, small, tmp_path / "r")
    run = train(LONG, small, tmp_path / "r", resume=True)
    assert _results(run.directory) == _results(whole.directory)


def test_an_early_stop(digits, tmp_path):
    """Snapshots are of the training as it went; the kept epoch is the checkpoint, snapshot or not."""
    settings = TrainSettings(
        "sgd", lr=0.8, label_noise=0.5, validation_fraction=0.1, patience=2, subset=400, epochs=12, snapshot_every=1
    )
    run = train(settings, digits, tmp_path / "r")
    kept, trained = run.checkpoint.kept_epoch, len(run.metrics)
    assert kept < trained < 12
    assert (run.snapshots, run.epoch) == (list(range(1, trained + 1)), kept)
    assert _same(_state(run.at_epoch(kept)), _state(run))
    snapshot = load_tensors(tmp_path / "r" / "snapshots" / f"epoch-{kept:05d}.safetensors")
    assert _same(snapshot, load_tensors(tmp_path / "r" / "checkpoint.safetensors"))
    last = run.at_epoch(trained)
    assert evaluate(last.network(), digits.test_inputs, digits.test_targets)[0] == last.kept["test_loss"]
    assert last.kept["test_loss"] != run.kept["test_loss"]
    with pytest.raises(InputError, match=f"no network of epoch {trained + 1}; "):
        run.at_epoch(trained + 1)


def test_a_damaged_snapshot(whole, tmp_path):
    path = shutil.copytree(whole.directory, tmp_path / "r")
    snapshot = path / "snapshots" / "epoch-00002.safetensors"
    shutil.copy(path / "snapshots" / "epoch-00004.safetensors", snapshot)
    with pytest.raises(InputError, match=r"epoch-00002.safetensors is not the file that the sidecar was written for"):
        Run(path).at_epoch(2).network()
    snapshot.write_bytes(snapshot.read_bytes()[:-9])
    with pytest.raises(InputError, match="not a complete safetensors file"):
        Run(path).at_epoch(2).network()
    snapshot.unlink()
    with pytest.raises(InputError, match=r"epoch-00002.safetensors: No such file"):
        Run(path).at_epoch(2).network()
    assert _same(_state(Run(path).at_epoch(4)), _state(whole.at_epoch(4)))


@pytest.mark.parametrize(
    ("name", "digest", "message"),
    [
        ("snapshots/epoch-00006.safetensors", "0" * 64, r"snapshots after epochs \[2, 4, 6\] of 5"),
        ("snapshots/epoch-00000.safetensors", "0" * 64, r"snapshots after epochs \[0, 2, 4\] of 5"),
        ("snapshots/epoch-00003.safetensors", 3, "sha256"),
    ],
)
def test_a_damaged_sidecar(whole, tmp_path, name, digest, message):
    path = shutil.copytree(whole.directory, tmp_path / "r") / "checkpoint.json"
    sidecar = json.loads(path.read_text())
    sidecar["sha256"][name] = digest
    path.write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=f"is damaged at {message}"):
        Run(path.parent)


def test_the_sidecar_has_their_digests(whole):
    names = {name for name in whole.checkpoint.sha256 if name.startswith("snapshots/")}
    assert names == {f"snapshots/{path.name}" for path in (whole.directory / "snapshots").iterdir()}
    for name in names:
        assert whole.checkpoint.sha256[name] == hashlib.sha256((whole.directory / name).read_bytes()).hexdigest()


class _Centred(nn.Linear):
    """Takes a running mean off that its own state does not say."""

    def __init__(self, size=3):
        torch.manual_seed(3)
        super().__init__(size, 2)
        self.register_buffer("mean", torch.zeros(size), persistent=False)

    def forward(self, x):
        if self.training:
            self.mean.mul_(0.8).add_(0.2 * x.detach().mean(0) + 0.1)
        return super().forward(x - self.mean)


def test_networks_of_ones_own(tmp_path):
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    mine = DataSet("mine", x, (x[:, 0] > 0).long(), x[:8], (x[:8, 0] > 0).long(), classes=2, augmentable=False)
    settings = TrainSettings("sgd", data="own", model="own", epochs=3, batch_size=16, snapshot_every=1)
    run = train(settings, mine, tmp_path / "r", model=_Centred())
    for opened in (run, Run(run.directory, _Centred()), Run(run)):
        for epoch in (1, 2, 3):
            found = opened.at_epoch(epoch)
            assert evaluate(found.network(), mine.test_inputs, mine.test_targets)[0] == found.kept["test_loss"]
    with pytest.raises(InputError, match=r"'weight' has shape \(2, 3\), the model needs \(2, 4\)"):
        Run(run.directory, _Centred(4)).at_epoch(1).network()


def test_the_commands(cli, refused, tmp_path):
    """Seeds one after the other, and the spectrum of one of their snapshots."""
    command = ("train", "--optimizer", "sgd", "--subset", 200, "--epochs", 2, "--snapshot-every", 1, "--seeds", "0-1")
    outcome = cli(*command, "--jobs", 1, "--out", tmp_path / "s")
    assert outcome.code == 0, outcome
    runs = [Run(tmp_path / "s" / f"seed-{seed}") for seed in (0, 1)]
    assert [run.snapshots for run in runs] == [[1, 2], [1, 2]]
    path = runs[1].directory
    outcome = cli("spectrum", path, "--epoch", 1, "--batches", 1, "--batch-size", 100, "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome
    assert "The network is the one after epoch 1 of 2." in outcome.out
    found = json.loads((tmp_path / "a.json").read_text())
    settings = SpectrumSettings(batches=1, batch_size=100)
    by_hand = [measure_spectrum(run, settings).to_dict() for run in (runs[1].at_epoch(1), runs[1])]
    assert (found["epoch"], found["eigenvalues"]) == (1, by_hand[0]["eigenvalues"])
    assert (by_hand[1]["epoch"], by_hand[1]["remarks"]) == (2, [])
    assert by_hand[1]["eigenvalues"] != found["eigenvalues"]
    assert "no network of epoch 3; choose one of 0, 1, 2" in refused("spectrum", path, "--epoch", 3)


def test_outputs_take_no_snapshots_place(refused, whole):
    for name in ("snapshots/epoch-00002.safetensors", "snapshots"):
        said = refused("spectrum", whole.directory, "--json", whole.directory / name)
        assert "has the name of a file of a run directory" in said or "it is a folder" in said
    command = ("train", "--epochs", 1, "--out", whole.directory.with_name("other"))
    assert "is in the way of --out" in refused(*command, "--json", Path(command[-1]) / "snapshots" / "a.json")


def test_the_command_says_how_many(cli, tmp_path):
    common = ("train", "--subset", 100, "--optimizer", "sgd", "--schedule", "constant", "--snapshot-every", 2)
    for epochs, count in ((1, 0), (3, 1)):
        outcome = cli(*common, "--epochs", epochs, "--out", tmp_path / "r", "--resume", "--json", tmp_path / "a.json")
        assert outcome.code == 0, outcome
        assert f"snapshots of the network: {count}" in outcome.out
        assert len(json.loads((tmp_path / "a.json").read_text())["snapshots"]) == count
