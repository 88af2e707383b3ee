"""Small trained networks that kept half of their examples."""

import shutil

import pytest

from eigensam.bounds.certificates.run_certify import permuted
from eigensam.landscapes import Run, load_data
from eigensam.optim import SAMSettings, TrainSettings, train

HALF = TrainSettings(SAMSettings(rho=0.5), epochs=12, lr=0.1, prior_fraction=0.5, seed=1)


@pytest.fixture(scope="session")
def digits():
    return load_data("digits")


@pytest.fixture(scope="session")
def trained(digits, tmp_path_factory):
    return train(HALF, digits, tmp_path_factory.mktemp("certificates") / "half")


@pytest.fixture
def run(trained, tmp_path):
    """A copy that nobody has looked at."""
    shutil.copytree(trained.directory, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture(scope="session")
def shuffled(digits):
    return permuted(digits, 0)
