"""A finished run is left as it is, or goes on to more epochs as if it had been one training."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Run, load_tensors
from eigensam.optim import SAMSettings, StepRate, TrainSettings, train
from eigensam.optim.training.continuation import put_in_place

from .kept import files, kill_at

STEP = TrainSettings("eigen-sam", "adamw", StepRate("2,4"), lr=0.01, epochs=2, batch_size=100, warmup_epochs=0.5)


@pytest.fixture(scope="module")
def small(digits):
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:300], train_targets=digits.train_targets[:300])


def _same(one, other):
    a, b = (load_tensors(path / "checkpoint.safetensors") for path in (one, other))
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_a_finished_run_is_left_as_it_is(small, tmp_path, schedule):
    settings = dataclasses.replace(STEP, schedule=schedule)
    train(settings, small, tmp_path / "r")
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "r").iterdir()}
    run = train(settings, small, tmp_path / "r", resume=True, progress=lambda *_: pytest.fail("it trains"))
    assert len(run.metrics) == 2
    assert before == {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "r").iterdir()}
    with pytest.raises(InputError, match="exists already, a finished run"):
        train(settings, small, tmp_path / "r")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.2}, "is a finished run, which has lr = 0.01, this command 0.2; repeat"),
        ({"optimizer": SAMSettings()}, "which has optimizer = {'name': 'eigen-sam'"),
        ({"seed": 4}, "which has seed = 0, this command 4"),
        ({"epochs": 1}, "which has epochs = 2, this command 1; repeat"),
        ({"epochs": 5, "schedule": "cosine"}, "which has schedule = "),
    ],
)
def test_another_training_is_refused(small, tmp_path, change, message):
    train(STEP, small, tmp_path / "r")
    with pytest.raises(InputError) as caught:
        train(dataclasses.replace(STEP, **change), small, tmp_path / "r", resume=True)
    assert message in str(caught.value)
    flipped = dataclasses.replace(small, train_inputs=small.train_inputs.flip(0))
    with pytest.raises(InputError, match="trained on other examples"):
        train(STEP, flipped, tmp_path / "r", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("schedule", [StepRate("2,4"), "constant"])
@pytest.mark.parametrize("killed_at", [None, 4, 8])  # of 3 steps an epoch, 2 + 3 epochs
def test_more_epochs_are_one_training(small, tmp_path, schedule, killed_at):
    short = dataclasses.replace(STEP, schedule=schedule)
    long = dataclasses.replace(short, epochs=5)
    if killed_at is None or killed_at > 6:
        train(short, small, tmp_path / "r")
        if killed_at:
            with pytest.raises(KeyboardInterrupt):
                train(long, small, tmp_path / "r", resume=True, progress=kill_at(killed_at))
            assert (tmp_path / "r" / "checkpoint.json").is_file()  # the earlier one is still there
    else:
        with pytest.raises(KeyboardInterrupt):
            train(short, small, tmp_path / "r", progress=kill_at(killed_at))
    run = train(long, small, tmp_path / "r", resume=True)
    whole = train(long, small, tmp_path / "whole")
    found = [files(each.directory) for each in (run, whole)]
    for each in found:
        assert each.pop("state.safetensors")  # which has the clock, too
    assert found[0] == found[1]
    assert [row["epoch"] for row in run.metrics] == [1, 2, 3, 4, 5]
    assert {path.name for path in tmp_path.iterdir()} == {"r", "whole"}


def test_a_training_that_forgot_the_milestone_would_be_another(small, tmp_path):
    """Wrong on purpose: the comparison above sees a change of the third epoch."""
    for name, milestones in (("a", "2,4"), ("b", "3,4")):
        train(dataclasses.replace(STEP, epochs=5, schedule=StepRate(milestones)), small, tmp_path / name)
    assert not _same(tmp_path / "a", tmp_path / "b")


def test_a_cosine_has_no_more_epochs(small, tmp_path):
    cosine = dataclasses.replace(STEP, schedule="cosine")
    train(cosine, small, tmp_path / "r")
    assert not (tmp_path / "r" / "state.safetensors").exists()
    message = r"has epochs = 2, this command 3 \(under the schedule 'cosine' more epochs change the first ones, too\)"
    with pytest.raises(InputError, match="is a finished run, which " + message):
        train(dataclasses.replace(cosine, epochs=3), small, tmp_path / "r", resume=True)
    with pytest.raises(KeyboardInterrupt):
        train(cosine, small, tmp_path / "s", progress=kill_at(5))
    with pytest.raises(InputError, match="the unfinished run " + message):
        train(dataclasses.replace(cosine, epochs=3), small, tmp_path / "s", resume=True)


def test_without_the_state_or_with_a_certificate_it_is_refused(small, tmp_path):
    long = dataclasses.replace(STEP, epochs=3)
    train(STEP, small, tmp_path / "r")
    (tmp_path / "r" / "frozen.json").write_text("{}")
    with pytest.raises(InputError, match=r"'eigensam certify' has written down in frozen\.json"):
        train(long, small, tmp_path / "r", resume=True)
    (tmp_path / "r" / "frozen.json").unlink()
    (tmp_path / "r" / "state.safetensors").unlink()
    with pytest.raises(InputError, match=r"its state.safetensors has been removed; train anew elsewhere"):
        train(long, small, tmp_path / "r", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_other_versions_do_not_go_on(small, tmp_path, monkeypatch):
    train(STEP, small, tmp_path / "r")
    monkeypatch.setattr("eigensam.ground.identities.code_fingerprint", lambda module: "0")
    with pytest.raises(InputError, match="differs in code of eigensam"):
        train(dataclasses.replace(STEP, epochs=3), small, tmp_path / "r", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("renames", [0, 1])
def test_killed_between_the_renames(small, tmp_path, monkeypatch, renames):
    """Either the earlier run or the later one is whole, and going on finishes."""
    long = dataclasses.replace(STEP, epochs=3)
    train(STEP, small, tmp_path / "r")
    left, rename = [renames], Path.replace

    def dies(self, target):
        if self.is_dir():
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        train(long, small, tmp_path / "r", resume=True)
    monkeypatch.undo()
    run = train(long, small, tmp_path / "r", resume=True)
    assert len(run.metrics) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("removals", [0, 2, 5, 6])
def test_killed_while_the_earlier_run_is_removed(small, tmp_path, monkeypatch, removals):
    """Before any, some, the last of its six files, its folder: what is left is not in the way of more epochs."""
    longer = [dataclasses.replace(CONSTANT, epochs=epochs) for epochs in (2, 3)]
    train(CONSTANT, small, tmp_path / "r")
    left = [removals]

    def dying(original):
        def dies(self, **options):
            if ".r.before" in self.parts:
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            return original(self, **options)

        return dies

    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            train(longer[0], small, tmp_path / "r", resume=True)
    assert len(list((tmp_path / ".r.before").iterdir())) == 6 - removals
    for settings in longer:
        assert len(train(settings, small, tmp_path / "r", resume=True).metrics) == settings.epochs
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_what_cannot_be_renamed_stays(tmp_path):
    shutil.copytree(Path(__file__).parent, tmp_path / "r.partial")
    (tmp_path / "r").write_text("mine")
    with pytest.raises(InputError, match=r"the finished run stays in .*r.partial"):
        put_in_place(tmp_path / "r.partial", tmp_path / "r")


def _put_by_the_user(path, name):
    (path / name).write_text("mine")
    return lambda: (path / name).read_text() == "mine"


CONSTANT = TrainSettings("sgd", schedule="constant", epochs=1, batch_size=100)


@pytest.mark.parametrize("given", ["link", "real/r/folder/.."])
def test_what_stands_where_the_earlier_run_is_kept_is_found_through_links(small, tmp_path, given):
    (tmp_path / "real").mkdir()
    train(CONSTANT, small, tmp_path / "real" / "r")
    (tmp_path / "real" / ".r.before").mkdir()
    is_there = _put_by_the_user(tmp_path / "real" / ".r.before", "thesis.txt")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "r")
    with pytest.raises(InputError, match=r"\.r\.before is in the way"):
        train(dataclasses.replace(CONSTANT, epochs=2), small, tmp_path / given, resume=True)
    assert is_there()


@pytest.mark.parametrize("name", ["notes.txt", "frozen.json"])
@pytest.mark.parametrize("place", ["r", ".r.before"])
def test_what_is_put_there_during_the_longer_training_is_kept(small, tmp_path, name, place):
    train(CONSTANT, small, tmp_path / "r")
    is_there = []

    def progress(done, steps, latest):
        if not is_there:
            if place != "r":
                shutil.copytree(tmp_path / "r", tmp_path / place)
            is_there.append(_put_by_the_user(tmp_path / place, name))

    longer = dataclasses.replace(CONSTANT, epochs=2)
    with pytest.raises(
        InputError, match=r"the finished run stays in .*r\.partial: .*(notes.txt|frozen.json|in the way)"
    ):
        train(longer, small, tmp_path / "r", resume=True, progress=progress)
    assert is_there[0]()
    (tmp_path / place / name).unlink()
    run = train(longer, small, tmp_path / "r", resume=True)
    assert len(run.metrics) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("finished", [False, True])
def test_another_training_where_the_earlier_run_is_kept_is_not_its_earlier_run(small, tmp_path, finished):
    """Such as one that was moved aside before a kill, and forgotten."""
    train(dataclasses.replace(CONSTANT, lr=0.01), small, tmp_path / ".r.before")
    longer = dataclasses.replace(CONSTANT, epochs=2)
    if finished:
        train(CONSTANT, small, tmp_path / "r")
        with pytest.raises(InputError, match=r"r\.before is in the way"):
            train(longer, small, tmp_path / "r", resume=True)
    else:
        assert len(train(longer, small, tmp_path / "r").metrics) == 2
    assert Run(tmp_path / ".r.before").settings["lr"] == 0.01


def test_a_training_that_fails_leaves_what_is_the_users(small, tmp_path):
    def fails(done, steps, latest):
        (tmp_path / "r.partial" / "notes.txt").write_text("mine")
        raise ValueError("of the user's own")

    with pytest.raises(ValueError, match="of the user's own"):
        train(CONSTANT, small, tmp_path / "r", progress=fails)
    assert [path.name for path in (tmp_path / "r.partial").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("grows", [False, True])
def test_a_run_that_has_appeared_meanwhile_is_kept(small, tmp_path, grows):
    other = train(dataclasses.replace(CONSTANT, seed=1), small, tmp_path / "other")
    if grows:
        train(CONSTANT, small, tmp_path / "r")

    def progress(done, steps, latest):
        shutil.rmtree(tmp_path / "r", ignore_errors=True)
        shutil.copytree(other.directory, tmp_path / "r")

    longer = dataclasses.replace(CONSTANT, epochs=2)
    with pytest.raises(InputError, match=r"the finished run stays in .*r\.partial: (cannot rename|.* is no longer)"):
        train(longer, small, tmp_path / "r", resume=grows, progress=progress)
    assert Run(tmp_path / "r").checkpoint.seed == 1
    assert Run(tmp_path / "r.partial").checkpoint.seed == 0


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("in_header", [False, True])
def test_a_flipped_byte_of_the_state_is_seen(small, tmp_path, finished, in_header):
    longer = dataclasses.replace(CONSTANT, epochs=3)
    if finished:
        train(CONSTANT, small, tmp_path / "r")
    else:
        with pytest.raises(KeyboardInterrupt):
            train(longer, small, tmp_path / "r", progress=kill_at(4))
    path = tmp_path / ("r" if finished else "r.partial") / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[content.index(b"train_loss") + 20 if in_header else -20] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not a usable training state \(its content is not what was written\)"):
        train(longer, small, tmp_path / "r", resume=True)


def test_the_command(cli, refused, tmp_path):
    command = ("train", "--optimizer", "sgd", "--schedule", "constant", "--batch-size", 700, "--out", tmp_path / "r")
    assert cli(*command, "--epochs", 1).code == 0
    outcome = cli(*command, "--epochs", 1, "--resume", "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome
    assert "r is finished already" in outcome.out
    assert "training" not in outcome.out
    assert (tmp_path / "a.json").is_file()
    assert "has lr = 0.1, this command 0.2" in refused(*command, "--epochs", 1, "--lr", 0.2, "--resume")
    outcome = cli(*command, "--epochs", 2, "--resume")
    assert outcome.code == 0, outcome
    assert "training mlp" in outcome.out
    assert len(load_tensors(tmp_path / "r" / "checkpoint.safetensors")) > 0
    seeds = (*command[:-1], tmp_path / "s", "--seeds", "0,1", "--jobs", 1)
    assert cli(*seeds, "--epochs", 1).code == 0
    outcome = cli(*seeds, "--epochs", 2, "--resume")
    assert outcome.code == 0, outcome
    assert "there already" not in outcome.out
