"""A unit vector of many numbers has length 1."""

import torch

from eigensam.landscapes.spectra.eigenpairs import start_vector
from eigensam.landscapes.spectra.lengths import length_of
from eigensam.landscapes.spectra.operators import FunctionOperator
from eigensam.landscapes.spectra.short_lanczos import short_lanczos
from eigensam.optim.eigenvector_estimate import estimate

MANY = 10_000_000


def true_length(v):
    return float(v.double().square().sum().sqrt())


def test_lengths_are_added_up_in_double_precision():
    v = torch.randn(MANY, generator=torch.Generator().manual_seed(0))
    assert abs(float(length_of(v)) / true_length(v) - 1) < 1e-6
    rows = v.view(2, -1)
    assert length_of(rows, keep=True).shape == (2, 1)
    assert length_of(v.double()).dtype == torch.float64


def test_unit_vectors_have_length_one():
    """Wrong on purpose: with float32's own norm some of these are 4e-4 off on a CPU."""
    v = torch.randn(MANY, generator=torch.Generator().manual_seed(1))
    scale = torch.linspace(0.5, 1.0, MANY)
    operator = FunctionOperator(lambda x: scale * x, MANY)
    start = start_vector(operator, v, 0)
    found = {
        "start": start,
        "Lanczos": short_lanczos(operator, 2, start=start, seed=0).vectors[0],
        "power": estimate(operator, "power", 2, start, 0).vector,
    }
    assert {name: abs(true_length(vector) - 1) < 1e-5 for name, vector in found.items()} == dict.fromkeys(found, True)
