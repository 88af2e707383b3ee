"""Runs that begin with weights of others: what they begin with, what they are known by, how they go on."""

import dataclasses
import json

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import DATA, Run, load_data
from eigensam.landscapes.runs.data_source import DataSource
from eigensam.landscapes.runs.pretrained import check_weights, load_pretrained, weights_path
from eigensam.landscapes.runs.pretrained_weights import PRETRAINED, PretrainedWeights, find_pretrained
from eigensam.optim import EigenSAMSettings, TrainSettings, run_identity, train
from eigensam.tests.tiny_pretrained import NAME, prepare, put, tiny

from .kept import files, kill_at


@pytest.fixture
def state(monkeypatch, tmp_path):
    return prepare(monkeypatch, tmp_path / "torch")


@pytest.fixture
def settings(state):
    method = EigenSAMSettings(refresh_every=2)
    return TrainSettings(
        method, model=NAME, pretrained="imagenet", epochs=2, batch_size=4, lr=0.01, subset=12, snapshot_every=1
    )


@pytest.fixture
def small(digits):
    """Few to evaluate."""
    return dataclasses.replace(digits, test_inputs=digits.test_inputs[:8], test_targets=digits.test_targets[:8])


def test_older_runs_are_the_same_runs(digits):
    plain = TrainSettings("sam")
    assert plain.pretrained == ""
    assert "pretrained" not in plain.to_dict()
    assert TrainSettings.from_dict(plain.to_dict()) == plain
    assert "pretrained weights" not in run_identity(digits, "cpu", plain)
    given = TrainSettings("sam", model="vit-b-16", pretrained="imagenet")
    assert given.to_dict()["pretrained"] == "imagenet"
    assert TrainSettings.from_dict(given.to_dict()) == given


def test_what_is_refused_at_once():
    with pytest.raises(InputError, match="pretrained = jft names no weights; choose imagenet"):
        TrainSettings("sam", model="vit-b-16", pretrained="jft")
    for model in ("resnet50", "own"):
        with pytest.raises(InputError, match=f"no weights of '{model}'.*choose vit-b-16"):
            TrainSettings("sam", model=model, pretrained="imagenet")


def _remove(path):
    path.rename(path.with_suffix(".away"))


def test_a_run_begins_with_them_and_opens_without_the_file(settings, small, state, tmp_path):
    run = train(settings, small, tmp_path / "a")
    torch.manual_seed(settings.seed)
    expected = tiny((1, 8, 8), 10)
    plain = {name: value.clone() for name, value in expected.state_dict().items()}
    load_pretrained(expected, find_pretrained(NAME, "imagenet"), DATA["digits"].statistics)
    _remove(weights_path(find_pretrained(NAME, "imagenet")))
    run = Run(tmp_path / "a")
    first = run.network(initial=True).state_dict()
    assert all(torch.equal(first[name], value) for name, value in expected.state_dict().items())
    assert not all(torch.equal(first[name], value) for name, value in plain.items())  # wrong on purpose: it starts anew
    last = run.network().state_dict()
    assert all(not torch.equal(last[name], first[name]) for name in ("transformer.heads.head.weight",))
    assert not torch.equal(last["transformer.conv_proj.weight"], first["transformer.conv_proj.weight"])
    assert run.at_epoch(1).network().state_dict().keys() == first.keys()
    assert run.settings["pretrained"] == "imagenet"
    found = train(settings, small, tmp_path / "a", resume=True)  # finished: nothing is looked for
    assert found.metrics == run.metrics


def test_what_is_missing_is_said_before_a_folder_is_made(settings, small, tmp_path):
    _remove(weights_path(find_pretrained(NAME, "imagenet")))
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"weights are missing: fetch https://weights\.invalid/tiny-"):
        train(settings, small, tmp_path / "runs" / "a")
    assert set(tmp_path.iterdir()) == before


def test_it_goes_on_bit_for_bit(settings, small, tmp_path):
    train(settings, small, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        train(settings, small, tmp_path / "b", save_minutes=0, progress=kill_at(4))
    run = train(settings, small, tmp_path / "b", resume=True)
    assert files(tmp_path / "a") == files(run.directory)


def test_other_weights_are_another_run(settings, small, state, monkeypatch, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(settings, small, tmp_path / "a", save_minutes=0, progress=kill_at(2))
    one = run_identity(small, "cpu", settings)
    assert one["pretrained weights"] == check_weights(find_pretrained(NAME, "imagenet"))
    put(monkeypatch, {**state, "class_token": state["class_token"] + 1})
    other = run_identity(small, "cpu", settings)
    assert {name for name in one if one[name] != other[name]} == {"pretrained weights"}
    with pytest.raises(InputError, match="differs in pretrained weights"):
        train(settings, small, tmp_path / "a", resume=True)
    with pytest.raises(InputError, match="has pretrained = imagenet, this command"):
        train(dataclasses.replace(settings, pretrained=""), small, tmp_path / "a", resume=True)


def test_data_that_do_not_say_how_they_were_standardised(settings, monkeypatch):
    class Silent(DataSource):
        built_in = True

        def load(self, name, root, *, download):
            return DATA["digits"].load(name, root, download=download)

    list(DATA)
    monkeypatch.setattr(DATA, "_entries", dict(DATA._entries))
    DATA.register("silent")(Silent())
    with pytest.raises(InputError, match="'silent' do not say how they were standardised"):
        run_identity(load_data("silent"), "cpu", dataclasses.replace(settings, data="silent"))


def test_ones_own_data_are_taken_as_they_are(settings, small, state, tmp_path):
    own = dataclasses.replace(small, name="mine")
    run = train(dataclasses.replace(settings, data="own", epochs=1), own, tmp_path / "a")
    first = run.network(initial=True).state_dict()
    assert torch.equal(first["transformer.conv_proj.weight"], state["conv_proj.weight"])
    assert torch.equal(first["transformer.conv_proj.bias"], state["conv_proj.bias"])


COMMAND = ("--model", NAME, "--pretrained", "imagenet", "--optimizer", "sgd", "--epochs", 1, "--subset", 8)
COMMAND += ("--batch-size", 8, "--lr", 0.01)


def test_the_command_fetches_them(cli, refused, state, monkeypatch, tmp_path):
    weights = find_pretrained(NAME, "imagenet")
    path = weights_path(weights)
    source = tmp_path / weights.file_name
    path.rename(source)
    near = PretrainedWeights(source.as_uri(), weights.wrapped, weights.head, weights.first)
    monkeypatch.setitem(PRETRAINED, (NAME, "imagenet"), near)
    for more in ((), ("--seeds", "0-1", "--jobs", 1)):
        line = refused("train", *COMMAND, *more, "--out", tmp_path / "runs" / "a", "--json", tmp_path / "a.json")
        assert source.as_uri() in line
        assert str(path) in line
        assert "--download" in line
        assert not (tmp_path / "runs").exists()
    arguments = ("train", *COMMAND, "--download", "--out", tmp_path / "runs" / "a")
    assert cli(*arguments).code == 0
    assert path.read_bytes() == source.read_bytes()
    path.unlink()
    assert cli(*arguments, "--resume").code == 0  # finished
    assert not path.exists()
    outcome = cli("train", *COMMAND, "--download", "--seeds", "0", "--out", tmp_path / "b", "--json", tmp_path / "s")
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "s").read_text())["settings"]["pretrained"] == "imagenet"
    assert "--download has no effect here" in refused("train", "--out", tmp_path / "c", "--download")


def test_the_command_refuses_other_networks(refused, tmp_path):
    line = refused("train", "--model", "resnet50", "--pretrained", "imagenet", "--out", tmp_path / "a")
    assert "there are no weights of 'resnet50'" in line
    assert "choose vit-b-16" in line
    assert list(tmp_path.iterdir()) == []
