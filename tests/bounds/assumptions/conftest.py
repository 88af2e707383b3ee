"""Small runs, trained and made."""

import pytest
import torch

from eigensam.bounds import AssumptionSettings, check_assumptions
from eigensam.bounds.assumptions.subject import Subject
from eigensam.landscapes import Checkpoint, Run
from eigensam.optim import TrainSettings, train

SMALL = AssumptionSettings(examples=64, minibatches=4, draws=4, pairs=2)


@pytest.fixture(scope="session")
def sam_run(tmp_path_factory, digits):
    """SAM on a perceptron with one hidden layer, its curvature recorded. Read-only."""
    settings = TrainSettings("sam", model="mlp32", epochs=3, record_every=22, record_examples=128)
    return train(settings, digits, tmp_path_factory.mktemp("sam") / "run")


@pytest.fixture(scope="session")
def table(sam_run, digits):
    return check_assumptions(sam_run, digits, SMALL)


@pytest.fixture
def run_of(tmp_path, digits):
    """A run directory with a network of one's own as it is."""

    def make(model, settings=None):
        Checkpoint("own", (1, 8, 8), 10, "digits", settings or {}, 0).save(tmp_path / "run", model, model.state_dict())
        return Run(tmp_path / "run", model)

    return make


@pytest.fixture
def subject_of(run_of, digits):
    """What the checks see of a network of one's own."""

    def make(model, settings=None, effort=SMALL):
        return Subject(run_of(model, settings), digits, effort, torch.device("cpu"), lambda what: None)

    return make
