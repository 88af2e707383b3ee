"""A step in two halves that is left after the first: as if it had not been begun."""

import pytest
import torch
from torch import nn

from eigensam.ground import InputError

from .kinds import every_two_pass, flat, loss_of, make, network, same, snapshot, step_in_halves


def _network():
    torch.manual_seed(0)
    return network(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))


def _half(optimizer, model, **options):
    if getattr(optimizer, "due", False):
        optimizer.refresh(loss_of(model))
    optimizer.zero_grad()
    loss_of(model)().backward()
    optimizer.first_step(**options)


@every_two_pass
@pytest.mark.parametrize("until", ["at once", "in the second pass", "after restore"])
def test_abandoned(kind, until):
    model, twin = _network(), _network()
    optimizer, other = (make(kind, each.parameters(), lr=0.1, momentum=0.9) for each in (model, twin))
    for _ in range(2):
        step_in_halves(optimizer, loss_of(model))
        step_in_halves(other, loss_of(twin))
    weights, state = snapshot(model.state_dict()), snapshot(optimizer.state_dict())
    before, objects = flat(model), list(model.buffers())
    loss_of(model)()  # the loop's own first pass moves buffers; the abandoned second does not
    buffers = snapshot(dict(model.named_buffers()))
    model.load_state_dict(weights)
    _half(optimizer, model)
    assert not torch.equal(flat(model), before)
    if until != "at once":
        loss_of(model)().backward()
    if until == "after restore":
        optimizer.restore()
    optimizer.abandon()
    assert torch.equal(flat(model), before)
    assert same(dict(model.named_buffers()), buffers)
    assert all(a is b for a, b in zip(model.buffers(), objects, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert same(optimizer.state_dict(), state)
    optimizer.abandon()  # there is none: nothing happens
    model.load_state_dict(weights)
    step_in_halves(optimizer, loss_of(model))
    step_in_halves(other, loss_of(twin))
    optimizer.step(loss_of(model))
    other.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))


@every_two_pass
def test_a_state_is_not_loaded_between_halves(kind):
    """The parameters that were loaded with it would be overwritten."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    state, weights = snapshot(optimizer.state_dict()), snapshot(model.state_dict())
    for _ in range(2):
        optimizer.step(loss_of(model))
    _half(optimizer, model)
    with pytest.raises(InputError, match=r"abandon\(\)"):
        optimizer.load_state_dict(state)
    optimizer.abandon()
    model.load_state_dict(weights)
    optimizer.load_state_dict(state)
    step_in_halves(optimizer, loss_of(model))
    assert not same(model.state_dict(), weights)


@every_two_pass
def test_a_first_half_that_fails_is_none(kind, monkeypatch):
    """Out of memory while parameters move."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    before = flat(model)
    with monkeypatch.context() as patch:

        def fails(*_):
            raise torch.OutOfMemoryError

        patch.setattr("eigensam.optim.vector.Vector.clone", fails)
        patch.setattr("eigensam.optim.vector.Vector.add_", fails)
        with pytest.raises(torch.OutOfMemoryError):
            _half(optimizer, model)
    assert torch.equal(flat(model), before)
    optimizer.step(loss_of(model))
    assert not torch.equal(flat(model), before)


@every_two_pass
def test_frozen_between_the_halves(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    before = flat(model)
    _half(optimizer, model)
    model[0].weight.requires_grad_(False)
    loss_of(model)().backward()
    for call in (optimizer.step, optimizer.restore, optimizer.second_step):
        with pytest.raises(InputError, match="frozen, unfrozen or added between the two halves"):
            call()
    optimizer.abandon()
    assert torch.equal(flat(model), before)
    optimizer.step(loss_of(model))
