"""Priors that were trained on a subset, with validation and label noise: the certificate speaks of clean labels."""

import dataclasses
import hashlib
import json
import shutil

import pytest
import torch
from scipy.stats import beta

from eigensam.bounds import CertifySettings, certify
from eigensam.bounds.certificates.kept_examples import kept_examples
from eigensam.ground import InputError
from eigensam.landscapes import Run, Split, save_tensors
from eigensam.optim import TrainSettings, train

NOISY = TrainSettings("sgd", epochs=8, prior_fraction=0.5, subset=600, validation_fraction=0.1, label_noise=0.3, seed=4)
QUICK = CertifySettings(draws=50, epochs=1)


@pytest.fixture(scope="module")
def noisy(digits, tmp_path_factory):
    return train(NOISY, digits, tmp_path_factory.mktemp("noisy") / "a")


def test_what_is_kept_has_clean_labels_and_was_never_used(noisy, digits):
    kept = kept_examples(noisy, digits, "trained", 0.05, 0.05)
    images = torch.cat([kept.choice_inputs, kept._inputs])
    labels = torch.cat([kept.choice_targets, kept._targets])
    bound = Split.draw(1437, 0.5, 4).bound
    assert torch.equal(images, digits.train_inputs[bound])
    assert torch.equal(labels, digits.train_targets[bound])
    prior, examples = noisy.split.prior, noisy.examples
    used = {*prior[examples.train].tolist(), *prior[examples.validation].tolist()}
    assert len(used) == 600
    assert not used & {*bound.tolist()}


def test_the_certificate_is_about_clean_labels(noisy, digits):
    """Errors by hand; counted with noise in the same share they would be many more."""
    found = certify(noisy, QUICK, digits)
    n = found.examples["bound"]
    assert found.examples["prior"] == 540  # trained on, not the prior part's 718
    bound = Split.draw(1437, 0.5, 4).bound[-n:]
    outputs = noisy.network()(digits.train_inputs[bound])
    errors = int((outputs.argmax(1) != digits.train_targets[bound]).sum())
    assert round(found.error_at_prior * n) == errors
    assert found.clopper_pearson == pytest.approx(beta.ppf(0.95, errors + 1, n - errors), rel=1e-9)
    labels = digits.train_targets[bound].clone()
    labels[: round(0.3 * n)] = (labels[: round(0.3 * n)] + 1) % 10
    assert int((outputs.argmax(1) != labels).sum()) > errors + 0.15 * n
    said = " ".join(found.assumptions)
    assert (
        "162 of the 540 labels that the prior was trained on are noise; risk is with respect to the data set's" in said
    )


def test_an_untrained_prior_has_nothing_to_do_with_the_noise(noisy, digits):
    kept = kept_examples(noisy, digits, "initial", 0.05, 0.05)
    assert kept.count == 1437
    assert torch.equal(kept._targets, digits.train_targets)


def test_a_subset_is_no_split(digits, tmp_path):
    """What was left out was not kept for a certificate: validation and choices may have been made with it."""
    run = train(TrainSettings("sgd", epochs=1, subset=500, validation_fraction=0.1), digits, tmp_path / "a")
    with pytest.raises(
        InputError, match=r"was trained on 450 of 1437 training examples and kept no others apart for a"
    ):
        certify(run, QUICK, digits)
    assert not (run.directory / "frozen.json").exists()


def test_another_split_under_the_same_examples_is_refused(noisy, digits, tmp_path):
    """A split that moves trained examples into the bound part, with a digest that fits."""
    copy = shutil.copytree(noisy.directory, tmp_path / "copy")
    save_tensors(copy / "split.safetensors", Split.draw(1437, 0.5, 5).to_tensors())
    sidecar = json.loads((copy / "checkpoint.json").read_text())
    sidecar["sha256"]["split.safetensors"] = hashlib.sha256((copy / "split.safetensors").read_bytes()).hexdigest()
    (copy / "checkpoint.json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=r"other labels than those of digits|trained on other examples"):
        certify(Run(copy), QUICK, digits)


def test_other_kept_examples_are_refused(noisy, digits):
    other = dataclasses.replace(digits, train_targets=digits.train_targets.roll(1))
    with pytest.raises(InputError, match="split is one of other examples"):
        certify(noisy, QUICK, other)
