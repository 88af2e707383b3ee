"""The valley's minima and their sharpness."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Valley, top_eigenpairs


@pytest.mark.parametrize("along", [-3.0, 0.0, 0.7])
def test_every_point_of_the_valley_is_a_minimum_with_its_own_sharpness(along, f64):
    f, x = Valley(flat=0.5, sharp=2.5), torch.tensor([along, 0.0], dtype=f64)
    assert f.gradient(x).abs().max() < 1e-15
    top = top_eigenpairs(f, x).values.item()
    assert top == pytest.approx(2.5 - 2.0 * float(torch.exp(torch.tensor(-0.5 * along**2, dtype=f64))), rel=1e-12)


def test_it_is_not_convex(f64):
    f = Valley()
    hessian = torch.func.hessian(lambda p: f.losses(p).mean())(torch.tensor([2.0, 1.0], dtype=f64))
    assert torch.linalg.eigvalsh(hessian)[0] < 0


def test_refusals():
    with pytest.raises(InputError, match="does not sum to zero"):
        Valley(noise=(1.0, 1.0))
    with pytest.raises(InputError, match="expected 0 < flat < sharp"):
        Valley(flat=3.0, sharp=2.0)
