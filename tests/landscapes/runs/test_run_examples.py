"""A run on a subset, with validation and label noise: it returns exactly the examples and labels it was trained on."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

import eigensam.landscapes.runs.run as run_module
from eigensam.ground import InputError
from eigensam.landscapes import (
    Examples,
    NetworkLandscape,
    Run,
    SpectrumSettings,
    Split,
    load_tensors,
    measure_spectrum,
    save_tensors,
)
from eigensam.optim import TrainSettings, train
from eigensam.sde.simulation.simulated_landscape import run_landscape
from eigensam.sde.weak_order.chosen_landscape import given_landscape

SETTINGS = TrainSettings(
    "sgd", epochs=1, prior_fraction=0.6, subset=700, validation_fraction=0.1, label_noise=0.2, seed=3
)


@pytest.fixture(scope="module")
def run(digits, tmp_path_factory):
    return train(SETTINGS, digits, tmp_path_factory.mktemp("examples") / "a")


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run.directory, tmp_path / "copy")


def _rewrite(directory, change):
    """A forger's: the file and its digest in the sidecar."""
    path, sidecar = directory / "examples.safetensors", json.loads((directory / "checkpoint.json").read_text())
    save_tensors(path, {name: each.clone() for name, each in change(load_tensors(path)).items()})
    sidecar["sha256"]["examples.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (directory / "checkpoint.json").write_text(json.dumps(sidecar))


@pytest.fixture(scope="module")
def by_hand(digits):
    """Positions in the whole data set, and labels, from the two draws."""
    split = Split.draw(1437, 0.6, 3)
    drawn = Examples.draw(split.prior_part(digits), subset=700, validation_fraction=0.1, label_noise=0.2, seed=3)
    return split, split.prior[drawn.train], split.prior[drawn.validation], drawn.targets


def test_the_run_knows_its_examples(run, digits, by_hand):
    _, train_at, validation_at, targets = by_hand
    data = run.data()
    assert torch.equal(data.train_inputs, digits.train_inputs[train_at])
    assert torch.equal(data.train_targets, targets)
    assert torch.equal(data.test_targets, digits.test_targets)
    clean = run.clean(data)
    assert torch.equal(clean.train_targets, digits.train_targets[train_at])
    assert int((data.train_targets != clean.train_targets).sum()) == run.examples.replaced == 126
    inputs, classes = run.validation()
    assert torch.equal(inputs, digits.train_inputs[validation_at])
    assert torch.equal(classes, digits.train_targets[validation_at])  # no noise
    run.checkpoint.check_data(data)
    with pytest.raises(InputError, match="other examples than these"):
        run.checkpoint.check_data(clean)  # the labels count
    assert run.remarks == ["126 of the 630 labels that it was trained on are noise."]


def _overlap(*parts: torch.Tensor) -> bool:
    found = [set(part.tolist()) for part in parts]
    return any(a & b for i, a in enumerate(found) for b in found[:i])


def test_no_example_is_in_two_parts(by_hand, digits):
    """Kept for the certificate, trained on, validated; parts that were drawn from the whole set would overlap."""
    split, train_at, validation_at, _ = by_hand
    assert not _overlap(split.bound, train_at, validation_at)
    wrong = Examples.draw(digits, subset=700, validation_fraction=0.1, label_noise=0.2, seed=3)
    assert _overlap(split.bound, wrong.train)
    assert _overlap(split.bound, wrong.validation)


def test_it_is_the_training_of_these_examples(run, digits, by_hand, tmp_path):
    """By a data set that is made by hand; what was kept does not matter; clean labels give another network."""
    _, train_at, _, targets = by_hand
    made = replace(digits, train_inputs=digits.train_inputs[train_at], train_targets=targets)
    states = [
        train(TrainSettings("sgd", epochs=1, seed=3), data, tmp_path / name).network().state_dict()
        for name, data in (("b", made), ("c", replace(made, train_targets=digits.train_targets[train_at])))
    ]
    ours = run.network().state_dict()
    assert all(torch.equal(ours[name], states[0][name]) for name in ours)
    assert not all(torch.equal(ours[name], states[1][name]) for name in ours)


def test_validation_is_measured_each_epoch(run, digits, by_hand):
    _, _, validation_at, _ = by_hand
    outputs, classes = run.network()(digits.train_inputs[validation_at]), digits.train_targets[validation_at]
    row = run.metrics[-1]
    assert row["validation_loss"] == pytest.approx(cross_entropy(outputs, classes).item(), rel=1e-5)
    assert row["validation_accuracy"] == (outputs.argmax(1) == classes).float().mean().item()


def test_landscapes_are_those_of_the_labels_that_were_trained_on(run, digits, by_hand):
    """Clean labels would give numbers that look right."""
    _, train_at, _, targets = by_hand
    first, network = train_at[:100], run.network().double()
    outputs = network(digits.train_inputs[first].double())
    noisy, clean = (cross_entropy(outputs, each).item() for each in (targets[:100], digits.train_targets[first]))
    simulated = run_landscape(run.directory, None, minibatches=2, batch_size=50, initial=False, dtype=torch.float64)
    landscapes = (
        run.landscape(batch_size=50, batches=2, dtype=torch.float64),
        simulated.landscape,
        given_landscape(run.directory, 2, 50, None),
    )
    for f in landscapes:
        assert f.loss(f.point()).item() == pytest.approx(noisy, rel=1e-10)
        assert abs(f.loss(f.point()).item() - clean) > 1e-3
    assert simulated.described["remarks"] == run.remarks


def test_the_spectrum_is_that_of_the_labels_that_were_trained_on(run, cli, tmp_path):
    """Against a product with the landscape's Hessian; with clean labels it is another."""
    settings = SpectrumSettings(batches=1, batch_size=50, double=True, tolerance=1e-6)
    found = measure_spectrum(run, settings)
    f = run.landscape(batch_size=50, batches=1, dtype=torch.float64)
    direction = found.pairs.vectors[0]
    top = found.pairs.values[0].item()
    assert top == pytest.approx((direction @ f.hessian_product(f.point(), direction)).item(), rel=1e-8)
    data = run.data()
    clean = NetworkLandscape.from_tensors(
        run.network().double(), cross_entropy, data.train_inputs[:50].double(), run.clean(data).train_targets[:50]
    )
    assert abs(top - (direction @ clean.hessian_product(f.point(), direction)).item()) > 1e-3 * top
    assert found.examples == 50
    assert found.to_dict()["remarks"] == run.remarks
    outcome = cli("spectrum", run.directory, "--batches", 1, "--max-products", 3, "--device", "cpu")
    assert "126 of the 630 labels that it was trained on are noise." in " ".join(outcome.out.split())


def test_a_run_that_drew_nothing(trained):
    run = Run(trained)
    assert (run.examples, run.validation(), run.remarks) == (None, None, [])
    assert run.clean(run.data()).train_targets is not None
    assert not (run.directory / "examples.safetensors").exists()


def test_without_a_split_and_without_validation(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=1, subset=200, seed=1), digits, tmp_path / "a")
    expected = Examples.draw(digits, subset=200, seed=1).train
    assert (run.split, run.validation()) == (None, None)
    assert torch.equal(run.data().train_inputs, digits.train_inputs[expected])
    assert "validation_loss" not in run.metrics[0]
    assert {path.name for path in run.directory.iterdir()} == {
        "checkpoint.json", "checkpoint.safetensors", "examples.safetensors", "initial.safetensors", "metrics.jsonl",
        "settings.json",
    }  # fmt: skip


def test_a_damaged_file_is_refused(copy):
    path = copy / "examples.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for read in (lambda run: run.examples, Run.data, Run.validation, lambda run: run.remarks):
        with pytest.raises(InputError, match="not the file that the sidecar was written for"):
            read(Run(copy))
    path.unlink()
    with pytest.raises(InputError, match=r"examples\.safetensors"):
        Run(copy).data()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {"targets": t["clean"]}, "trained on other examples than these"),  # the noise is hidden
        (lambda t: t | {name: t[name][1:] for name in ("train", "targets", "clean")}, "trained on other examples"),
        (lambda t: t | {"clean": t["targets"]}, "other labels than those of digits"),
        (lambda t: t | {"validation": t["train"][:5]}, "5 examples are both trained on and kept for validation"),
        (lambda t: t | {"train": t["train"] + 200}, "chosen examples|both trained on"),
        (lambda t: {"train": t["train"]}, "holds train, no chosen examples"),
    ],
)
def test_forged_examples_are_refused(copy, change, message):
    _rewrite(copy, change)
    for read in (Run.data, Run.validation):
        with pytest.raises(InputError, match=message):
            read(Run(copy))


def test_a_sidecar_that_forgets_them_is_refused(copy):
    sidecar = json.loads((copy / "checkpoint.json").read_text())
    del sidecar["sha256"]["examples.safetensors"]
    (copy / "checkpoint.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match="trained on other examples than these"):
        Run(copy).data()
    sidecar["sha256"]["examples.safetensors"] = 3
    (copy / "checkpoint.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match="damaged at sha256"):
        Run(copy)


def test_other_data_under_the_same_name_are_refused(digits, monkeypatch, tmp_path):
    """Also if only an example for validation differs."""
    run = train(TrainSettings("sgd", epochs=1, validation_fraction=0.1), digits, tmp_path / "a")
    other = digits.train_inputs.clone()
    other[run.examples.validation[0]] += 1.0
    monkeypatch.setattr(run_module, "load_data", lambda *_, **__: replace(digits, train_inputs=other))
    for read in (run.data, run.validation):
        with pytest.raises(InputError, match="choice of examples is one of other examples"):
            read()
