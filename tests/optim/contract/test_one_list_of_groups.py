"""The groups are one list, the base optimizer's, whoever changes it; settings that it lacks are filled in."""

import copy
import pickle

import pytest
import torch
from torch import nn

from eigensam.ground import InputError

from .kinds import accepts, every_kind, flat, loss_of, make, network


def _groups(model):
    parameters = list(model.parameters())
    return [{"params": parameters[:2], "rho": 0.2}, {"params": parameters[2:]}]


def _is_one(optimizer, model):
    """A scheduler of either acts on the step."""
    assert optimizer.param_groups is optimizer.base.param_groups
    schedulers = [torch.optim.lr_scheduler.LambdaLR(each, lambda _: 0.0) for each in (optimizer, optimizer.base)]
    assert schedulers
    before = flat(model)
    optimizer.step(loss_of(model))
    assert torch.equal(flat(model), before)


@every_kind
def test_going_on_from_a_state_of_the_base_alone(kind):
    """Steps are those of an optimizer that had these momenta all the time."""
    model, twin = network(), network()
    sgd = torch.optim.SGD([{**g, "lr": 0.05} for g in _groups(model)], momentum=0.9)
    loss_of(model)().backward()
    sgd.step()
    state = {"state": sgd.state_dict()["state"], "param_groups": []}
    for group in sgd.state_dict()["param_groups"]:  # as a plain SGD has them
        state["param_groups"].append({k: v for k, v in group.items() if k != "rho"})
    twin.load_state_dict(model.state_dict())
    model.zero_grad()
    optimizer = make(kind, _groups(model), lr=0.1, momentum=0.9)
    optimizer.base.load_state_dict(state)
    assert [group["rho"] for group in optimizer.param_groups] == [0.2, 0.1]
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.05]
    other = make(kind, _groups(twin), lr=0.05, momentum=0.9)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        other.base.state[q]["momentum_buffer"] = sgd.state[p]["momentum_buffer"].clone()
    for _ in range(3):
        optimizer.step(loss_of(model))
        other.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))
    _is_one(optimizer, model)


@every_kind
def test_groups_given_by_hand(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1, momentum=0.9)
    optimizer.step(loss_of(model))
    mine = _groups(model)
    optimizer.param_groups = mine
    assert optimizer.param_groups is mine
    assert [group["rho"] for group in optimizer.param_groups] == [0.2, 0.1]
    optimizer.step(loss_of(model))
    optimizer.base.param_groups = _groups(model)[::-1]
    assert [group["rho"] for group in optimizer.param_groups] == [0.1, 0.2]
    _is_one(optimizer, model)


@every_kind
def test_a_group_added_to_the_base(kind):
    model, extra = network(), nn.Parameter(torch.ones(2).double())
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.base.add_param_group({"params": [extra], "lr": 0.5})
    optimizer.step(lambda: loss_of(model)() + extra.square().sum())
    assert optimizer.param_groups[1]["rho"] == 0.1
    assert extra[0] < 1
    _is_one(optimizer, model)


@every_kind
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_have_one_list_of_their_own(kind, copied):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    other, twin = copied([optimizer, model])
    assert other.param_groups is other.base.param_groups
    assert other.param_groups is not optimizer.param_groups
    other.load_state_dict(optimizer.state_dict())
    for _ in range(2):
        optimizer.step(loss_of(model))
        other.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))
    _is_one(other, twin)


@every_kind
def test_one_name_of_two_settings_in_a_state_of_the_base(kind):
    """Adadelta's ``rho`` is no radius."""
    model = network()
    alone = torch.optim.Adadelta(model.parameters(), rho=0.75)
    optimizer = make(kind, model.parameters(), torch.optim.Adadelta, rho=0.2)
    optimizer.base.load_state_dict(alone.state_dict())
    assert (optimizer.param_groups[0]["rho"], optimizer.param_groups[0]["base_rho"]) == (0.2, 0.75)
    optimizer.param_groups = [{"params": list(model.parameters()), "rho": 0.3}]
    assert (optimizer.param_groups[0]["rho"], optimizer.param_groups[0]["base_rho"]) == (0.3, 0.75)


@every_kind
@pytest.mark.parametrize("wrong", [-0.3, float("nan"), float("inf"), "small", None])
def test_settings_made_wrong_between_steps(kind, wrong):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    before = flat(model)
    for name in ("rho", "alpha")[: 1 + accepts(kind, "alpha")]:
        right = optimizer.param_groups[0][name]
        optimizer.param_groups[0][name] = wrong
        with pytest.raises(InputError, match=f"{name}|settings"):
            optimizer.step(loss_of(model))
        if hasattr(optimizer, "first_step"):
            with pytest.raises(InputError, match=f"{name}|settings"):
                optimizer.first_step()
        optimizer.param_groups[0][name] = right
    assert torch.equal(flat(model), before)
    optimizer.step(loss_of(model))
    assert not torch.equal(flat(model), before)


@every_kind
def test_a_parameter_replaced_by_hand(kind):
    """What is kept of the old one cannot be saved."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1, momentum=0.9)
    optimizer.step(loss_of(model))
    optimizer.param_groups[0]["params"][0] = nn.Parameter(torch.ones(6, 4).double())
    with pytest.raises(InputError, match="in no group any more"):
        optimizer.state_dict()
