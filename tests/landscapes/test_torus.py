"""The tilted torus: periodic gradients that never vanish."""

import math

import pytest
import torch

from eigensam.landscapes import InputError, TiltedTorus


@pytest.mark.parametrize("dim", [1, 2])
def test_gradients_are_periodic_and_bounded_away_from_zero(dim, f64):
    f = TiltedTorus.default(dim)
    points = 2 * math.pi * torch.rand(2000, 1, dim, generator=torch.Generator().manual_seed(0), dtype=f64)
    gradients = f.gradients(points)
    torch.testing.assert_close(f.gradients(points + 2 * math.pi), gradients)
    norms = gradients.norm(dim=-1)
    assert 0 < f.gradient_floor <= norms.min()
    assert f.gradient(points).norm(dim=-1).min() > 0.1  # DNSAM divides by the mean gradient's norm


def test_refusals():
    with pytest.raises(InputError, match="gradient of a member may vanish"):
        TiltedTorus([[0.1]], [[1]], [[0.5]], [[0.0]])
    with pytest.raises(InputError, match="frequencies must be integers"):
        TiltedTorus([[2.0]], [[0.5]], [[0.5]], [[0.0]])
    with pytest.raises(InputError, match=r"must have shape \(M, K\) = \(1, 1\)"):
        TiltedTorus([[2.0]], [[1]], [[0.5, 0.1]], [[0.0]])
    with pytest.raises(InputError, match="no default tilted torus in dimension 3"):
        TiltedTorus.default(3)
