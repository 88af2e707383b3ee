"""Training on a subset, with validation, label noise and smoothing: what is written, resumed and refused."""

import dataclasses
import math

import pytest
import torch
from torch.nn.functional import cross_entropy, log_softmax

from eigensam.ground import InputError
from eigensam.landscapes import Examples, read_metrics
from eigensam.optim import TrainSettings, train

from .kept import files, kill_at

SETTINGS = TrainSettings(
    "sgd", epochs=2, batch_size=50, subset=240, validation_fraction=0.1, label_noise=0.25, label_smoothing=0.1
)


@pytest.fixture(scope="module")
def small(digits):
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:300], train_targets=digits.train_targets[:300])


def test_they_are_on_disk_before_the_first_step_and_a_resumed_run_has_the_same(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "a", progress=kill_at(1))
    assert (tmp_path / "a.partial" / "examples.safetensors").is_file()
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "a", resume=True, progress=kill_at(6))  # four steps an epoch
    train(SETTINGS, small, tmp_path / "a", resume=True)
    train(SETTINGS, small, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert all({"validation_loss", "validation_accuracy"} <= row.keys() for row in read_metrics(tmp_path / "a"))


@pytest.fixture(scope="module")
def killed(small, tmp_path_factory):
    """After its first epoch."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, folder / "a", progress=kill_at(6))
    return folder


@pytest.mark.parametrize(
    ("name", "value", "before"),
    [
        ("subset", 230, 240),
        ("subset", 0, 240),
        ("validation_fraction", 0.15, 0.1),
        ("validation_fraction", 0.0, 0.1),
        ("label_noise", 0.2, 0.25),
        ("label_smoothing", 0.0, 0.1),
        ("seed", 1, 0),
    ],
)
def test_other_examples_are_not_resumed(killed, small, name, value, before):
    """And the file of the first command stays."""
    before_it = files(killed / "a.partial")
    with pytest.raises(InputError, match=rf"the unfinished run has {name} = {before}, this command {value}; repeat"):
        train(dataclasses.replace(SETTINGS, **{name: value}), small, killed / "a", resume=True)
    assert files(killed / "a.partial") == before_it


def test_other_validation_images_are_not_resumed(killed, small):
    chosen = Examples.draw(small, subset=240, validation_fraction=0.1, label_noise=0.25, seed=0)
    inputs = small.train_inputs.clone()
    inputs[chosen.validation[0]] += 1.0
    with pytest.raises(InputError, match=r"differs in .*validation examples"):
        train(SETTINGS, dataclasses.replace(small, train_inputs=inputs), killed / "a", resume=True)


def test_a_command_that_was_killed_in_its_first_epoch_leaves_no_examples_for_another(small, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(SETTINGS, small, tmp_path / "a", progress=kill_at(1))
    run = train(TrainSettings("sgd", epochs=1), small, tmp_path / "a", resume=True)
    assert run.examples is None
    assert not (run.directory / "examples.safetensors").exists()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothing_is_in_the_training_loss_only(small, tmp_path, smoothing):
    """One step of the whole set: its loss is that of the initialisation, by the formula; evaluations are plain."""
    settings = TrainSettings("sgd", epochs=1, batch_size=300, validation_fraction=0.0, label_smoothing=smoothing)
    run = train(settings, small, tmp_path / "a")
    logs = log_softmax(run.network(initial=True)(small.train_inputs).double(), 1)
    right = logs.gather(1, small.train_targets[:, None]).mean()
    expected = -((1 - smoothing) * right + smoothing * logs.mean()).item()
    assert run.metrics[0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert abs(expected + right.item()) > 1e-3 or not smoothing  # the plain one would fail
    test = cross_entropy(run.network()(small.test_inputs), small.test_targets).item()
    assert run.metrics[0]["test_loss"] == pytest.approx(test, rel=1e-5)
    f = run.landscape(small, batch_size=300, initial=True)
    assert f.loss(f.point()).item() == pytest.approx(-right.item(), rel=1e-5)
    assert bool(run.remarks) == bool(smoothing)


def test_smoothing_changes_the_network_and_noise_is_learnt_from(small, tmp_path):
    plain = TrainSettings("sgd", epochs=1)
    runs = [
        train(dataclasses.replace(plain, **change), small, tmp_path / str(i))
        for i, change in enumerate(({}, {"label_smoothing": 0.1}, {"label_noise": 0.5}))
    ]
    states = [run.network().state_dict()["1.weight"] for run in runs]
    assert not any(torch.equal(a, b) for i, a in enumerate(states) for b in states[:i])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subset": 40}, r"batch_size = 50 exceeds the 36 training examples that are left of 300; lower it, or keep"),
        ({"validation_fraction": 0.9}, r"exceeds the 24 training examples that are left of 300"),
        ({"subset": 301}, r"subset = 301 of 300 training examples of digits"),
        ({"prior_fraction": 0.5, "subset": 200}, r"subset = 200 of 150 training examples of digits"),
        ({"label_noise": 0.002}, r"label_noise = 0.002 changes 0 of 216 labels"),
    ],
)
def test_too_few_is_refused_before_anything_is_written(small, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        train(dataclasses.replace(SETTINGS, **changes), small, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["validation_fraction", "label_noise", "label_smoothing"])
@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan])
def test_shares_out_of_range(name, value):
    with pytest.raises(InputError, match=rf"{name} = {value}"):
        TrainSettings("sgd", **{name: value})


def test_a_negative_subset():
    with pytest.raises(InputError, match=r"subset = -1 must be at least 0 \(all\)"):
        TrainSettings("sgd", subset=-1)
