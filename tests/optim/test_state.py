"""Nested states survive exactly; anything else than our own file is refused."""

import pickle

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import save_tensors
from eigensam.optim.training.state import load_state, save_state


def test_round_trip_is_exact(tmp_path):
    state = {
        "numbers": [1, 0.1, None, True, "text"],
        "pair": (1, (2.5, torch.tensor(3))),
        "by number": {0: {"m": torch.randn(3)}, 5: torch.arange(4, dtype=torch.int64)},
        "empty": {},
    }
    save_state(tmp_path / "s", state)
    loaded = load_state(tmp_path / "s")
    assert loaded["numbers"] == state["numbers"]
    assert loaded["pair"][1][0] == 2.5
    assert isinstance(loaded["pair"], tuple)
    assert torch.equal(loaded["by number"][0]["m"], state["by number"][0]["m"])
    assert loaded["by number"][5].dtype == torch.int64
    assert loaded["empty"] == {}


def test_a_state_without_tensors(tmp_path):
    save_state(tmp_path / "s", {"epoch": 1})
    assert load_state(tmp_path / "s") == {"epoch": 1}


def test_refusals(tmp_path):
    path = tmp_path / "s"
    with pytest.raises(InputError, match="not a usable training state"):
        load_state(path)
    path.write_bytes(pickle.dumps({"epoch": 1}))
    with pytest.raises(InputError, match="not a usable training state"):
        load_state(path)
    save_tensors(path, {"a": torch.ones(2)})  # safetensors, but no state
    with pytest.raises(InputError, match="not a usable training state"):
        load_state(path)
    save_state(path, {"a": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="not a usable training state"):
        load_state(path)
