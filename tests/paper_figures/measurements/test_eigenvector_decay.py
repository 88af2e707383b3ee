"""What is followed after freezing: against a dense Hessian, and controls in which nothing or much decays."""

from dataclasses import replace

import pytest
import torch

from eigensam.landscapes import load_data
from eigensam.optim import EigenSAMSettings, TrainSettings
from eigensam.optim.training.training import Training
from eigensam.paper_figures.measurements import eigenvector_decay
from eigensam.paper_figures.measurements.control_plan import Pair, used_data
from eigensam.paper_figures.measurements.eigenvector_decay import decay_along, freezing_steps
from eigensam.paper_figures.measurements.settled_top import loss_of_examples

from .test_settled_top import dense_hessian

METHOD = EigenSAMSettings(solver="power", guard=0.0, refresh_every=4)
SETTINGS = TrainSettings(optimizer=METHOD, model="mlp32", epochs=3, batch_size=16, seed=1)
DATA = used_data(Pair("tiny", "digits", "mlp32", train=96, test=20, pool=2, batch_size=16), load_data("digits"))
"""18 steps in three epochs, and 874 parameters: small enough for dense Hessians."""
LOOKS = (0, 1, 4, 8)


@pytest.fixture(scope="module")
def found():
    return decay_along(SETTINGS, DATA, "cpu", 60, (0.25, 0.5), LOOKS)


def test_what_is_followed(found):
    assert found["parameters"] == 874
    assert [each["step"] for each in found["frozen"]] == [4, 8]
    for frozen in found["frozen"]:
        assert [row["after"] for row in frozen["rows"]] == list(LOOKS)
        first = frozen["rows"][0]
        assert first["exact"] == {name: pytest.approx(1, abs=2e-3) for name in ("alignment", "plane", "ratio")}
        for row in frozen["rows"]:
            assert row["resolved"]
            for name in ("own", "exact"):
                assert row[name]["alignment"] <= row[name]["plane"] + 1e-6
                assert row[name]["ratio"] <= 1.001
    # The same moment was looked at from both: one Hessian
    assert found["frozen"][0]["rows"][2]["lambda_1"] == found["frozen"][1]["rows"][0]["lambda_1"]


def test_against_a_dense_hessian(found):
    """A training that nobody looks into, with the eigenvectors of dense Hessians at steps 4 and 5."""
    training = Training(SETTINGS, DATA, torch.device("cpu"))
    inputs, targets = (
        torch.cat(parts)
        for parts in zip(
            *loss_of_examples(training.model, DATA, 60, "whole 1", torch.device("cpu")).batches, strict=True
        )
    )
    hessians, own = {}, {}

    def note(step, loss):
        if training.steps in (4, 5):
            hessians[training.steps] = dense_hessian(training.model, inputs, targets)
            own[training.steps] = training.optimizer.eigenvector.double()

    training.epoch(note)
    estimate = own[5]  # made at the parameters after step 4, by the fifth step
    assert abs(float(own[4] @ estimate)) < 0.999  # wrong on purpose: the one before the refresh
    exact = torch.linalg.eigh(hessians[4])[1][:, -1]
    for place, step in ((0, 4), (1, 5)):
        values, vectors = torch.linalg.eigh(hessians[step])
        row = found["frozen"][0]["rows"][place]
        assert row["lambda_1"] == pytest.approx(float(values[-1]), rel=1e-3)
        for name, v in (("own", estimate), ("exact", exact)):
            assert row[name]["alignment"] == pytest.approx(abs(float(v @ vectors[:, -1])), abs=5e-3)
            assert row[name]["plane"] == pytest.approx(float((v @ vectors[:, -2:]).norm()), abs=5e-3)
            assert row[name]["ratio"] == pytest.approx(float(v @ hessians[step] @ v / values[-1]), abs=5e-3)


def test_where_nothing_moves_nothing_decays():
    """A vanishing learning rate; wrong on purpose: a large one, whose exact vector loses its alignment."""
    still, moving = (
        decay_along(replace(SETTINGS, lr=lr), DATA, "cpu", 60, (0.25, 0.5), LOOKS)["frozen"] for lr in (1e-6, 1.0)
    )
    for frozen in still:
        assert frozen["rows"][-1]["exact"]["alignment"] == pytest.approx(1, abs=1e-3)
        assert frozen["rows"][-1]["own"]["alignment"] == pytest.approx(frozen["rows"][0]["own"]["alignment"], abs=1e-3)
    assert min(row["exact"]["alignment"] or 0 for frozen in moving for row in frozen["rows"]) < 0.9


@pytest.mark.parametrize("model", ["mlp32", "mlp32-bn"])
def test_the_training_is_not_disturbed(monkeypatch, model):
    """Parameters and buffers are those of a training that nobody looks into."""
    made, settings = [], replace(SETTINGS, model=model)

    class Kept(Training):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(eigenvector_decay, "Training", Kept)
    decay_along(settings, DATA, "cpu", 32, (0.25, 0.5), LOOKS)
    plain = Training(settings, DATA, torch.device("cpu"))
    while plain.steps < made[0].steps:
        plain.epoch(lambda step, loss: None)
    found, expected = (each.model.state_dict() for each in (made[0], plain))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_freezing_needs_steps_after_it():
    assert freezing_steps(SETTINGS, 18, (0.0, 0.25, 0.9), 8) == [0, 4]
    assert freezing_steps(SETTINGS, 18, (0.9,), 8) == []
