"""One vector, in memory and in a file."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Valley
from eigensam.landscapes.curvature.frozen_vector import FrozenVector


def test_round_trip(tmp_path):
    path = tmp_path / "v.safetensors"
    frozen, other = FrozenVector(Valley(), path), FrozenVector(Valley(), path)
    frozen.set(torch.tensor([3.0, 4.0]), at=7)
    other.read()
    assert torch.equal(other.vector, frozen.vector)
    assert other.vector.tolist() == pytest.approx([0.6, 0.8])
    assert other.at == 7
    other.clear()
    assert (other.vector, other.at) == (None, -1)
    other.restore(None, 3)
    assert (other.vector, other.at) == (None, -1)
    other.restore(frozen.vector, 7)
    assert torch.equal(other.vector, frozen.vector)
    assert other.vector is not frozen.vector


def test_bad_input(tmp_path):
    path = tmp_path / "v.safetensors"
    with pytest.raises(InputError, match="cannot read"):
        FrozenVector(Valley(), path).read()
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a complete safetensors file"):
        FrozenVector(Valley(), path).read()
    with pytest.raises(InputError, match="the vector has shape"):
        FrozenVector(Valley()).set(torch.zeros(2), at=0)
    with pytest.raises(InputError, match="that of another landscape"):
        FrozenVector(Valley()).restore(torch.ones(3), 0)
