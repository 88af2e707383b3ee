"""All tensors of a module, in and out; the module's own state is a part of it."""

import pytest
import torch
from torch import nn

from eigensam.landscapes.networks.whole_state import load_whole_state, whole_state


def _network(fill):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].register_buffer("mean", torch.full((2,), fill), persistent=False)
    model[0].register_buffer("constant", torch.ones(()).expand(3), persistent=False)
    model[0].register_buffer("cache", None, persistent=False)
    return model


def test_there_and_back():
    one, other = _network(1.0), _network(2.0)
    one[0].cache, other[0].cache = torch.zeros(5, dtype=torch.int64), torch.ones(4)
    load_whole_state(other, whole_state(one))
    found, expected = whole_state(other), whole_state(one)
    assert expected.keys() == found.keys() == {*one.state_dict(), "0.mean", "0.constant", "0.cache"}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    other[0].cache += 1
    assert not one[0].cache.any()


def test_the_modules_own_state_leaves_them_out():
    """Wrong on purpose: what the mend is for."""
    one, other = _network(1.0), _network(2.0)
    other.load_state_dict(one.state_dict())
    assert not torch.equal(one[0].mean, other[0].mean)


def test_a_buffer_that_had_not_been_made():
    before, model = whole_state(_network(1.0)), _network(1.0)
    model[0].cache = torch.ones(4)
    load_whole_state(model, before)
    assert model[0].cache is None


def test_tensors_of_another_module():
    state = whole_state(_network(1.0))
    with pytest.raises(KeyError, match="unknown"):
        load_whole_state(_network(1.0), state | {"0.unknown": torch.ones(1)})
    del state["0.weight"]
    with pytest.raises(RuntimeError, match="Missing key"):
        load_whole_state(_network(1.0), state)
