"""What surrounds a step, or happens in its closure, and makes it wrong: refused in words, and nothing has changed."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from eigensam.ground import InputError
from eigensam.optim import SAM

from .kinds import every_kind, flat, loss_of, make, network


class _Toggles:
    """A closure that freezes or unfreezes parameters in one of its calls, and maybe makes them as they were."""

    def __init__(self, model, p, at, back=False):
        self.model, self.p, self.at, self.back, self.calls = model, p, at, back, 0

    def __call__(self):
        self.calls += 1
        if self.calls == self.at:
            self.p.requires_grad_(not self.p.requires_grad)
        loss = loss_of(self.model)()
        if self.calls == self.at and self.back:
            self.p.requires_grad_(not self.p.requires_grad)
        return loss


@every_kind
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_frozen_or_unfrozen_inside_the_closure(kind, at, frozen, back):
    model = network()
    p = model[0].weight
    p.requires_grad_(not frozen)
    optimizer = make(kind, model.parameters(), lr=0.1)
    before = flat(model)
    closure = _Toggles(model, p, at, back)
    try:
        optimizer.step(closure)
    except InputError as error:
        assert not back
        assert "frozen, unfrozen or added inside the closure" in str(error)  # noqa: PT017
        assert torch.equal(flat(model), before)
    else:
        assert back or closure.calls < at
    p.requires_grad_(True)
    optimizer.step(loss_of(model))
    assert not torch.equal(flat(model), before)


@every_kind
@pytest.mark.parametrize("how", ["itself", "another", "halves", "state"])
def test_a_step_within_a_step(kind, how):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    another = SAM(model[0].parameters(), rho=0.1, lr=0.1)
    state = optimizer.state_dict()

    def closure():
        loss = loss_of(model)()
        if how == "halves":
            another.first_step()
        elif how == "state":
            optimizer.load_state_dict(state)
        else:
            (another if how == "another" else optimizer).step(loss_of(model))
        return loss

    before = flat(model)
    with pytest.raises(InputError, match="step within a step"):
        optimizer.step(closure)
    assert torch.equal(flat(model), before)
    optimizer.step(loss_of(model))
    another.step(loss_of(model))


@every_kind
def test_a_step_of_other_parameters_within_a_step(kind):
    """As inner loops have it."""
    model, inner = network(), network(seed=1)
    optimizer, other = make(kind, model.parameters(), lr=0.1), make(kind, inner.parameters(), lr=0.1)
    before = flat(model), flat(inner)

    def closure():
        other.step(loss_of(inner))
        return loss_of(model)()

    optimizer.step(closure)
    assert not torch.equal(flat(model), before[0])
    assert not torch.equal(flat(inner), before[1])


class _Symmetric(nn.Module):
    def forward(self, x):
        return x + x.T


def _parametrized():
    torch.manual_seed(0)
    model = network(nn.Linear(4, 4), nn.Linear(4, 3))
    parametrize.register_parametrization(model[0], "weight", _Symmetric())
    return model


@every_kind
def test_cached_parametrizations(kind):
    """They would be of the parameters before they moved."""
    model = _parametrized()
    optimizer = make(kind, model.parameters(), lr=0.1)
    before = flat(model)
    with parametrize.cached():
        with pytest.raises(InputError, match="inside the closure"):
            optimizer.step(loss_of(model))
        if hasattr(optimizer, "first_step"):
            with pytest.raises(InputError, match="inside the closure"):
                optimizer.first_step()
    assert torch.equal(flat(model), before)

    def closure():
        with parametrize.cached():
            return loss_of(model)()

    twin = _parametrized()
    other = make(kind, twin.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.step(closure)
        other.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))


@every_kind
def test_inference_mode(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    with torch.inference_mode(), pytest.raises(InputError, match=r"torch.inference_mode\(\)"):
        optimizer.step(loss_of(model))
    before = flat(model)
    with torch.no_grad():
        optimizer.step(loss_of(model))
    assert not torch.equal(flat(model), before)


@every_kind
def test_parameters_without_numbers(kind):
    model = network().to("meta")
    optimizer = make(kind, model.parameters(), lr=0.1)
    with pytest.raises(InputError, match="meta device"):
        optimizer.step(lambda: model(torch.ones(2, 4, dtype=torch.float64, device="meta")).sum())


@every_kind
def test_parameters_of_another_shape(kind):
    """What is kept of them is of the old one; a kind that keeps nothing goes on."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    model[2].weight.data, model[2].bias.data = torch.ones(5, 6).double(), torch.ones(5).double()
    model.zero_grad()
    for p in model.parameters():
        p.grad = None
    if kind.kept_tensors:
        with pytest.raises(InputError, match="make the optimizer anew"):
            optimizer.step(loss_of(model))
    else:
        optimizer.step(loss_of(model))
