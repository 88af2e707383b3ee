"""States: what goes wrong with a foreign or damaged one is said before anything is overwritten."""

import copy
import functools
import io

import pytest
import torch
from torch import nn

from eigensam.ground import InputError

from .kinds import KINDS, accepts, every_kind, flat, loss_of, make, network, same, snapshot

ADAM = {"base": torch.optim.Adam, "lr": 0.01}


def _trained(kind, steps=4, model=None, **options):
    model = network() if model is None else model
    optimizer = make(kind, model.parameters(), **{**ADAM, **options})
    for _ in range(steps):
        optimizer.step(loss_of(model))
    return model, optimizer


@functools.cache
def _kept(kind, steps):
    """Of all tests: to be copied only."""
    return _trained(kind, steps)


class _Unchanged:
    """An optimizer that refuses a state is as it was, and goes on."""

    def __init__(self, kind):
        self.model, self.optimizer = copy.deepcopy(_kept(kind, 4))
        self.before, self.after = snapshot(self.optimizer.state_dict()), flat(_kept(kind, 5)[0])

    def refuses(self, state, match):
        with pytest.raises(InputError, match=match):
            self.optimizer.load_state_dict(state)
        assert same(self.optimizer.state_dict(), self.before)

    def goes_on(self):
        self.optimizer.step(loss_of(self.model))
        assert torch.equal(flat(self.model), self.after)


@every_kind
def test_states_of_something_else(kind):
    unchanged = _Unchanged(kind)
    plain = torch.optim.SGD(network().parameters(), lr=0.1)
    unchanged.refuses(plain.state_dict(), f"not a state of {kind.__name__}")
    unchanged.refuses(network().state_dict(), "not a state of")
    for nothing in ({}, None, [], {"state": {}, "param_groups": []}, {"state": {}, "param_groups": [{"params": []}]}):
        unchanged.refuses(nothing, "not a state of")
    for other in KINDS:
        if other is not kind:
            unchanged.refuses(snapshot(_kept(other, 1)[1].state_dict()), "method")
    unchanged.refuses(_trained(kind, 1, base=torch.optim.SGD)[1].state_dict(), "base = SGD, this optimizer has Adam")
    wide = network(nn.Linear(4, 7), nn.Tanh(), nn.Linear(7, 3))
    unchanged.refuses(_trained(kind, 1, wide)[1].state_dict(), "shape")
    deep = network(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
    unchanged.refuses(_trained(kind, 1, deep)[1].state_dict(), "groups of")
    two = network()
    grouped = make(kind, [{"params": two[0].parameters()}, {"params": two[2].parameters()}], **ADAM)
    unchanged.refuses(grouped.state_dict(), "groups of")
    unchanged.goes_on()


@every_kind
def test_other_settings_are_refused(kind):
    """Those that a step depends on and that no group has."""
    _, optimizer = _trained(kind)
    for name in kind.kept_settings:
        state = snapshot(optimizer.state_dict())
        for group in state["param_groups"]:
            group["sharpness_aware"][name] = "something else"
        with pytest.raises(InputError, match=f"{name} = something else"):
            optimizer.load_state_dict(state)


def _without(name):
    def damage(state):
        del state[name]

    return damage


def _state_is(value):
    def damage(state):
        state["state"] = value

    return damage


def _first_is(name, value):
    def damage(state):
        state["state"][0][name] = value

    return damage


def _without_first(name):
    def damage(state):
        del state["state"][0][name]

    return damage


def _group_is(name, value):
    def damage(state):
        state["param_groups"][0][name] = value

    return damage


def _ours_is(change):
    def damage(state):
        for group in state["param_groups"]:
            change(group["sharpness_aware"])

    return damage


DAMAGES = {
    "no groups": _without("param_groups"),
    "no state": _without("state"),
    "a list": _state_is([1, 2]),
    "text": _state_is("text"),
    "no number": _state_is({0: 3}),
    "a moment of another shape": _first_is("exp_avg", torch.zeros(2, 2).double()),
    "a moment that is text": _first_is("exp_avg", "text"),
    "a moment that is none": _first_is("exp_avg", None),
    "a moment is missing": _without_first("exp_avg_sq"),
    "a radius that is text": _group_is("rho", "wide"),
    "a radius that is nan": _group_is("rho", float("nan")),
    "a radius below 0": _group_is("rho", -1.0),
    "no parameters": _group_is("params", []),
    "parameters twice": _group_is("params", [0, 0, 0, 0]),
    "ours missing": lambda state: state["param_groups"][0].pop("sharpness_aware"),
    "ours in part": _ours_is(lambda ours: ours.pop("skipped")),
    "a count that is text": _ours_is(lambda ours: ours.update(skipped="many")),
}


@every_kind
@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_states(kind, what):
    unchanged = _Unchanged(kind)
    state = snapshot(unchanged.before)
    DAMAGES[what](state)
    unchanged.refuses(state, ".{20}")
    unchanged.goes_on()


@every_kind
@pytest.mark.parametrize("name", ["amsgrad", "foreach", "weight_decay", "rho"])
def test_a_state_of_an_older_torch(kind, name):
    """A group key that did not exist then is filled with the default, and the next step works."""
    model, optimizer = copy.deepcopy(_kept(kind, 4))
    state = snapshot(optimizer.state_dict())
    for group in state["param_groups"]:
        del group[name]
    other = make(kind, model.parameters(), **ADAM)
    other.load_state_dict(state)
    for _ in range(4):
        other.step(loss_of(model))
    assert torch.equal(flat(model), flat(_kept(kind, 8)[0]))


@every_kind
def test_rates_come_from_the_state(kind):
    _, optimizer = _trained(kind)
    other = make(kind, network().parameters(), torch.optim.Adam, lr=0.5, rho=0.7)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.01
    assert other.param_groups[0]["rho"] == 0.1
    assert other.base.param_groups is other.param_groups
    scheduler = torch.optim.lr_scheduler.StepLR(other, 1)
    with torch.no_grad():
        scheduler.optimizer.param_groups[0]["lr"] = 0.25
    assert other.base.param_groups[0]["lr"] == 0.25


@every_kind
def test_a_state_is_shared_with_nobody(kind):
    """What is loaded is copied, so a checkpoint in memory can be loaded twice."""
    _, optimizer = _trained(kind)
    state = snapshot(optimizer.state_dict())
    kept = snapshot(state)
    twin = network()
    other = make(kind, twin.parameters(), **ADAM)
    other.load_state_dict(state)
    for _ in range(3):
        other.step(loss_of(twin))
    assert same(state, kept)


@every_kind
def test_only_plain_values_are_in_a_state(kind):
    """So that ``torch.load`` needs no trust in it; Lightning and Accelerate load so."""
    _, optimizer = _trained(kind)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    assert same(torch.load(file, weights_only=True), optimizer.state_dict())


@every_kind
def test_a_state_saved_in_between_of_another_type(kind):
    """Of float32, loaded for a float64 model: torch casts moments; ours go with them."""
    options = {"base": torch.optim.SGD, "lr": 0.1, "momentum": 0.9}
    model, optimizer = _trained(kind, model=network(dtype=torch.float32), **options)
    twin = network()
    twin.load_state_dict(model.state_dict())
    other = make(kind, twin.parameters(), **options)
    other.load_state_dict(optimizer.state_dict())
    for _ in range(4):
        other.step(loss_of(twin))
        optimizer.step(loss_of(model))
    if not accepts(kind, "seed"):  # in another type other numbers are drawn
        torch.testing.assert_close(flat(twin), flat(model).double(), rtol=1e-3, atol=1e-4)
