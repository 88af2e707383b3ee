"""The tilted torus: periodic gradients, which need not vanish."""

import math

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus


def _points(dim, count=2000):
    return 2 * math.pi * torch.rand(count, 1, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_gradients_are_periodic_and_bounded_away_from_zero(dim):
    f, points = TiltedTorus.default(dim), _points(dim)
    gradients = f.gradients(points)
    torch.testing.assert_close(f.gradients(points + 2 * math.pi), gradients)
    norms = gradients.norm(dim=-1)
    assert 0 < f.gradient_floor <= norms.min()
    assert f.gradient(points).norm(dim=-1).min() > 0.1  # DNSAM divides by the mean gradient's norm


def test_a_gradient_may_vanish():
    """Without a tilt there are stationary points; the floor then says that nothing is guaranteed."""
    f = TiltedTorus([[0.0, 0.0]], [[1, 0], [0, 1]], [[1.0, 0.5]], [[0.0, 0.0]])
    assert f.gradient(torch.zeros(2, dtype=torch.float64)).abs().max() == 0
    assert f.gradient_floor == -1.5


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [
        (([[2.0]], [[0.5]], [[0.5]], [[0.0]]), r"frequencies must be integers of shape \(K, 1\); found \[\[0.5\]\]"),
        (([[2.0]], [[1, 0]], [[0.5]], [[0.0]]), "frequencies must be integers"),
        (([[2.0]], [[1]], [[0.5, 0.1]], [[0.0]]), r"must have shape \(M, K\) = \(1, 1\)"),
        (([[2.0]], [[1]], [[0.5]], [[0.0], [0.0]]), r"must have shape \(M, K\) = \(1, 1\)"),
        (([2.0], [[1]], [[0.5]], [[0.0]]), r"tilts have shape \(1,\); expected \(M, d\)"),
        (([[2.0]], [], [[0.5]], [[0.0]]), r"frequencies have shape \(0,\); expected \(K, d\)"),
        (([[2.0]], [[1]], [[0.5], [0.1, 0.2]], [[0.0]]), "amplitudes must be real numbers"),
        (([[2.0]], [[1]], [[0.5]], [[float("nan")]]), "phases contain nan"),
        (([[float("inf")]], [[1]], [[0.5]], [[0.0]]), "tilts contain inf"),
    ],
)
def test_refusals(coefficients, message):
    with pytest.raises(InputError, match=message):
        TiltedTorus(*coefficients)


def test_no_default_in_four_dimensions():
    with pytest.raises(InputError, match="no default tilted torus in dimension 4; choose 1, 2 or 3, or use"):
        TiltedTorus.default(4)
