"""Coefficients are checked once, with a message instead of a traceback."""

import numpy as np
import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes.analytic.arrays import finite_array


@pytest.mark.parametrize("values", [[[1, 0.1]], np.array([[1.0, 0.1]]), torch.tensor([[1, 0.1]], dtype=torch.float64)])
def test_numbers_keep_their_precision(values):
    found = finite_array("tilts", values, ("M", "d"))
    assert found.dtype == torch.float64
    assert found.tolist() == [[1.0, 0.1]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1.0, 2.0], [3.0]],
            r"tilts must be real numbers of shape \(M, d\), rows of equal length; .* length 2 at dim 1",
        ),
        ([[1.0, [2.0]]], "tilts must be real numbers"),
        ([["a"]], "tilts must be real numbers"),
        ([[None]], "tilts must be real numbers"),
        ([[1j]], "tilts must be real numbers"),
        ([[10**400]], "tilts must be real numbers .* too large"),
        ("text", "tilts must be real numbers"),
        ([], r"tilts have shape \(0,\); expected \(M, d\), every axis at least 1 long"),
        ([[]], r"tilts have shape \(1, 0\); expected"),
        (1.0, r"tilts have shape \(\); expected"),
        ([[[1.0]]], r"tilts have shape \(1, 1, 1\); expected"),
        ([[1.0, float("nan")]], "tilts contain nan; expected finite numbers, replace it"),
        ([[1.0, -float("inf")]], "tilts contain -inf"),
    ],
)
def test_refusals(values, message):
    with pytest.raises(InputError, match=message):
        finite_array("tilts", values, ("M", "d"))


def test_several_shapes():
    assert finite_array("hessian", [[[1.0]]], ("d", "d"), ("M", "d", "d")).shape == (1, 1, 1)
    with pytest.raises(InputError, match=r"hessian have shape \(1,\); expected \(d, d\) or \(M, d, d\)"):
        finite_array("hessian", [1.0], ("d", "d"), ("M", "d", "d"))
