"""A run directory, opened in one place: its parts against those opened by hand, and what it refuses."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import Checkpoint, NetworkLandscape, Run, load_data, read_metrics


def test_its_parts(trained, digits):
    run = Run(trained)
    by_hand = Checkpoint.read(trained)
    assert (run.checkpoint, run.settings, run.metrics) == (by_hand, by_hand.settings, read_metrics(trained))
    initial, last = run.network(initial=True).state_dict(), run.network().state_dict()
    assert not torch.equal(initial["1.weight"], last["1.weight"])
    assert torch.equal(last["1.weight"], by_hand.network(trained).state_dict()["1.weight"])
    assert torch.equal(run.data().train_inputs, load_data("digits").train_inputs)
    f = run.landscape(digits, batch_size=100, batches=3, dtype=torch.float64)
    x, y = digits.train_inputs[:300].double(), digits.train_targets[:300]
    expected = NetworkLandscape.from_tensors(run.network().double(), cross_entropy, x, y, batch_size=100)
    assert torch.equal(f.point(), expected.point())
    assert torch.equal(f.losses(f.point()), expected.losses(expected.point()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 100, "batches": -1}, "batches = -1; give at least 1"),
        ({"batch_size": 100, "batches": 0}, "batches = 0; give at least 1"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"batch_size": 100, "batches": 15}, "15 batches of 100 are more than the 1437 examples"),
    ],
)
def test_minibatches_that_are_not_there(trained, digits, arguments, message):
    with pytest.raises(InputError, match=message):
        Run(trained).landscape(digits, **arguments)


def test_other_data(trained, digits):
    with pytest.raises(InputError, match="trained on other examples"):
        Run(trained).landscape(replace(digits, test_inputs=digits.test_inputs + 1), batch_size=100)


@pytest.mark.parametrize("optimizer", [None, "sgd", ["sgd"], {}, {"name": 1}])
def test_a_sidecar_with_strange_settings_can_be_printed(trained, tmp_path, optimizer):
    path = shutil.copytree(trained, tmp_path / "r")
    sidecar = json.loads((path / "checkpoint.json").read_text())
    sidecar["settings"]["optimizer"] = optimizer
    (path / "checkpoint.json").write_text(json.dumps(sidecar))
    assert "mlp on digits" in repr(Run(path))


def test_more_epochs_than_there_can_be(trained, tmp_path):
    path = shutil.copytree(trained, tmp_path / "r")
    sidecar = json.loads((path / "checkpoint.json").read_text())
    sidecar["epochs"] = 10**30
    (path / "checkpoint.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match="does not hold one line for each epoch"):
        _ = Run(path).metrics
