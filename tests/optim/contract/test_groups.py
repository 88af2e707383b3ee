"""Parameter groups: radii of their own, radius 0, rates that are tensors, parameters that come, go, or stay away."""

import copy

import pytest
import torch
from torch import nn

from eigensam.optim import SAM

from .kinds import accepts, every_kind, every_two_pass, flat, loss_of, make, network, same, step_in_halves, trained


def _halves_of(model, **of_last):
    parameters = list(model.parameters())
    return [{"params": parameters[:2]}, {"params": parameters[2:], **of_last}]


@every_kind
def test_radius_zero_everywhere_is_the_base(kind):
    twin = network()
    base = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    for _ in range(4):
        base.zero_grad()
        loss_of(twin)().backward()
        base.step()
    assert torch.equal(trained(kind, rho=0.0, momentum=0.9), flat(twin))


@every_kind
def test_a_group_of_radius_zero_stays_where_it_is(kind):
    """Its parameters see no perturbation; others are perturbed as if it was not there, by their own gradient alone."""
    model = network()
    optimizer = make(kind, _halves_of(model, rho=0.0), lr=0.1)
    stays, visited = [p for p in model.parameters()][2:], []
    start = flat(stays)

    def closure():
        visited.append(flat(model))
        assert torch.equal(flat(stays), start)
        return loss_of(model)()

    before = flat(model)
    optimizer.step(closure)
    moved = torch.stack([point - before for point in visited]).norm(dim=1)
    assert not torch.equal(flat(stays), start)  # trained all the same

    alone = network()  # the same with the others frozen: nobody else knows of them
    for p in list(alone.parameters())[2:]:
        p.requires_grad_(False)
    seen = []
    only = make(kind, list(alone.parameters())[:2], lr=0.1)

    def of_alone():
        seen.append(flat(alone))
        return loss_of(alone)()

    only.step(of_alone)
    distances = torch.stack([point - before for point in seen]).norm(dim=1)
    torch.testing.assert_close(moved, distances, rtol=1e-9, atol=1e-12)


def test_sam_perturbs_by_the_radius_over_the_others():
    model, visited = network(), []
    optimizer = SAM(_halves_of(model, rho=0.0), rho=0.25, lr=0.1)

    def closure():
        visited.append(flat(model))
        return loss_of(model)()

    optimizer.step(closure)
    shift = visited[1] - visited[0]
    assert shift.norm().item() == pytest.approx(0.25, rel=1e-12)
    assert shift[30:].abs().max() == 0


@every_kind
def test_groups_with_equal_settings_are_one_group(kind):
    model = network()
    optimizer = make(kind, _halves_of(model), lr=0.1)
    for _ in range(4):
        optimizer.step(loss_of(model))
    torch.testing.assert_close(flat(model), trained(kind), rtol=1e-12, atol=1e-14)
    other = network()
    optimizer = make(kind, _halves_of(other, rho=0.4), lr=0.1)
    for _ in range(4):
        optimizer.step(loss_of(other))
    assert not torch.allclose(flat(model), flat(other), rtol=1e-4)


@every_kind
@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.Adam])
def test_rates_and_radii_may_be_tensors(kind, base):
    numbers = trained(kind, base=base, lr=0.125, rho=0.25)
    tensors = trained(kind, base=base, lr=torch.tensor(0.125).double(), rho=torch.tensor(0.25), foreach=False)
    torch.testing.assert_close(tensors, numbers, rtol=1e-12, atol=1e-14)
    model = network()
    rate, radius = torch.tensor(0.5).double(), torch.tensor(0.0)
    optimizer = make(kind, model.parameters(), base, lr=rate, rho=radius, foreach=False)
    rate.fill_(0.125)  # changed in place, as such rates are made for
    radius.fill_(0.25)
    for _ in range(4):
        optimizer.step(loss_of(model))
    torch.testing.assert_close(flat(model), numbers, rtol=1e-12, atol=1e-14)


@every_kind
def test_radii_follow_a_schedule(kind):
    model, twin = network(), network()
    optimizer, other = make(kind, model.parameters(), lr=0.1), make(kind, twin.parameters(), lr=0.1)
    for step in range(3):
        for group in optimizer.param_groups:
            group["rho"] = 0.1 * step
        optimizer.step(loss_of(model))
        other.param_groups[0]["rho"] = 0.1
        other.step(loss_of(twin))
    assert not torch.allclose(flat(model), flat(twin), rtol=1e-5)


@every_kind
def test_frozen_and_unused_parameters(kind):
    """Momentum and decay do not reach them either, as with torch's own optimizers."""
    model, spare, frozen = network(), nn.Parameter(torch.ones(3).double()), nn.Parameter(torch.ones(3).double())
    frozen.requires_grad_(False)
    optimizer = make(kind, [*model.parameters(), spare, frozen], lr=0.1, momentum=0.9, weight_decay=0.1)
    twin = network()
    other = make(kind, twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(4):
        optimizer.step(loss_of(model))
        other.step(loss_of(twin))
    assert spare.tolist() == frozen.tolist() == [1.0, 1.0, 1.0]
    if not accepts(kind, "seed"):  # random numbers depend on how many parameters there are
        torch.testing.assert_close(flat(model), flat(twin), rtol=1e-12, atol=1e-14)


@every_kind
def test_unfrozen_and_frozen_in_mid_interval(kind):
    model = network()
    layers = list(model.parameters())
    layers[0].requires_grad_(False)
    optimizer = make(kind, layers, lr=0.1, momentum=0.9)
    first = layers[0].detach().clone()
    for _ in range(2):
        optimizer.step(loss_of(model))
    assert torch.equal(layers[0], first)
    layers[0].requires_grad_(True)
    optimizer.step(loss_of(model))
    assert not torch.equal(layers[0], first)
    layers[2].requires_grad_(False)
    layers[2].grad = None  # else torch's optimizers go on along it
    third = layers[2].detach().clone()
    for _ in range(4):
        optimizer.step(loss_of(model))
    assert torch.equal(layers[2], third)
    assert flat(model).isfinite().all()


@every_kind
def test_a_group_that_comes_in_mid_interval(kind):
    """The state of others stays; the new one is trained, perturbed and saved like they are."""
    model = network()
    parameters = list(model.parameters())
    optimizer = make(kind, parameters[:2], torch.optim.Adam, lr=0.01)
    for _ in range(2):
        optimizer.step(loss_of(model))
    last = flat(parameters[2:])
    optimizer.add_param_group({"params": parameters[2:], "lr": 0.05})
    assert optimizer.param_groups is optimizer.base.param_groups
    assert optimizer.param_groups[1]["rho"] == optimizer.param_groups[0]["rho"]
    assert optimizer.param_groups[1]["betas"] == optimizer.param_groups[0]["betas"]
    for _ in range(4):
        optimizer.step(loss_of(model))
    assert not torch.equal(flat(parameters[2:]), last)
    twin = copy.deepcopy(model)
    there = list(twin.parameters())
    other = make(kind, [{"params": there[:2]}, {"params": there[2:]}], torch.optim.Adam, lr=0.3)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        optimizer.step(loss_of(model))
        other.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))
    assert same(optimizer.state_dict(), other.state_dict())


@every_two_pass
def test_halves_are_the_whole(kind):
    model = network()
    optimizer = make(kind, _halves_of(model, rho=0.3), lr=0.1, momentum=0.9)
    twin = network()
    other = make(kind, _halves_of(twin, rho=0.3), lr=0.1, momentum=0.9)
    for _ in range(5):
        optimizer.step(loss_of(model))
        step_in_halves(other, loss_of(twin))
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-12, atol=1e-14)
