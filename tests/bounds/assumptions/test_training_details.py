"""What the theorems leave out: found in the settings of a run."""

import pytest

from eigensam.bounds.assumptions.training_details import details_of
from eigensam.optim import TrainSettings

PLAIN = TrainSettings("sam", weight_decay=0.0, batch_size=1437, schedule="constant").to_dict()
PLAIN["base"] = {**PLAIN["base"], "momentum": 0.0}


def verdicts(settings, normalised=False):
    return {row.name: row.verdict for row in details_of(settings, normalised=normalised, examples=1437)}


def test_plain_sam_with_one_minibatch():
    found = verdicts(PLAIN)
    assert found.pop("rho = O(eta^(1/3))") == "cannot be decided here"
    assert set(found.values()) == {"holds"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("the rule is SAM", {"optimizer": {"name": "eigen-sam", "rho": 0.1}}),
        ("no momentum", {"base": {"name": "sgd", "momentum": 0.9}}),
        ("no adaptive steps", {"base": {"name": "adam"}}),
        ("no weight decay", {"weight_decay": 5e-5}),
        ("constant learning rate", {"schedule": {"name": "cosine"}}),
        ("constant learning rate", {"warmup_epochs": 1.0}),
        ("no clipping of gradients", {"clip_norm": 1.0}),
        ("no random augmentation", {"augment": True}),
        ("no mixed precision", {"precision": "bfloat16"}),
        ("independent minibatches", {"batch_size": 64}),
        ("labels as they were drawn", {"label_noise": 0.2}),
        ("the trained loss is the one that is looked at", {"label_smoothing": 0.1}),
    ],
)
def test_each_difference_fails(name, change):
    """Wrong on purpose, one by one."""
    assert verdicts(PLAIN)[name] == "holds"
    assert verdicts(PLAIN | change)[name] == "fails"


def test_batch_norm():
    assert verdicts(PLAIN, normalised=True)["no batch normalisation"] == "fails"


def test_nothing_is_known_without_settings():
    found = verdicts({})
    assert found.pop("no batch normalisation") == "holds"
    assert set(found.values()) == {"cannot be decided here"}


def test_scale():
    (row,) = [row for row in details_of(PLAIN, normalised=False, examples=9) if row.name.startswith("rho")]
    assert row.numbers["scale"] == pytest.approx(0.1 / 0.1 ** (1 / 3))
