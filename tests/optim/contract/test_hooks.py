"""Step hooks fire once a step and in torch's order: those of the instance, of all optimizers, and of the base."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from eigensam.optim import SAM

from .kinds import every_kind, every_two_pass, flat, loss_of, make, network, step_in_halves, trained


class _Listening:
    """Says in which order hooks of both kinds fire, of an optimizer and of all."""

    def __init__(self, optimizer):
        self.heard = []
        self._handles = [
            register_optimizer_step_pre_hook(self._hear("all: before")),
            register_optimizer_step_post_hook(self._hear("all: after")),
            optimizer.register_step_pre_hook(self._hear("own: before")),
            optimizer.register_step_post_hook(self._hear("own: after")),
        ]

    def _hear(self, what):
        return lambda optimizer, *_: self.heard.append((what, type(optimizer).__name__))

    def __enter__(self):
        return self.heard

    def __exit__(self, *_):
        for handle in self._handles:
            handle.remove()


def _order_of_torch():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_of(model)().backward()
    with _Listening(optimizer) as heard:
        optimizer.step()
    return [what for what, _ in heard]


@every_kind
def test_once_a_step_in_the_order_of_torch(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    with _Listening(optimizer) as heard:
        for _ in range(3):
            optimizer.step(loss_of(model))
    assert heard == [(what, kind.__name__) for _ in range(3) for what in _order_of_torch()]


@every_two_pass
def test_once_a_step_in_halves(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    with _Listening(optimizer) as heard:
        for _ in range(2):
            step_in_halves(optimizer, loss_of(model))
    assert heard == [(what, kind.__name__) for _ in range(2) for what in _order_of_torch()]


@every_kind
def test_an_average_in_a_hook(kind):
    """An average that is updated twice a step is another one."""
    model, seen = network(), []
    average = copy.deepcopy(model)
    optimizer = make(kind, model.parameters(), lr=0.1)

    def update(*_):
        seen.append(flat(model))
        with torch.no_grad():
            for a, p in zip(average.parameters(), model.parameters(), strict=True):
                a.lerp_(p, 0.25)

    optimizer.register_step_post_hook(update)
    truth = flat(model)
    for _ in range(4):
        optimizer.step(loss_of(model))
        truth = torch.lerp(truth, flat(model), 0.25)
        assert torch.equal(seen[-1], flat(model))
    assert torch.equal(flat(average), truth)


@every_kind
def test_hooks_of_the_base_and_after_the_passes(kind):
    model, heard = network(), []
    optimizer = make(kind, model.parameters(), lr=0.1)
    for name, register in (
        ("own before", optimizer.register_step_pre_hook),
        ("base before", optimizer.base.register_step_pre_hook),
        ("base after", optimizer.base.register_step_post_hook),
        ("own after", optimizer.register_step_post_hook),
        ("passes made", optimizer.register_after_backward_hook),
    ):
        register(lambda *_, name=name: heard.append((name, torch.equal(flat(model), start))))
    start = flat(model)
    optimizer.step(loss_of(model))
    expected = ["own before", "passes made", "base before", "base after", "own after"]
    assert heard == [(name, name not in ("base after", "own after")) for name in expected]  # where parameters are


@every_kind
def test_a_hook_that_clips_between_the_passes_and_the_step(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=1.0)
    handle = optimizer.register_after_backward_hook(lambda _: nn.utils.clip_grad_norm_(model.parameters(), 0.01))
    before = flat(model)
    optimizer.step(loss_of(model))
    assert (flat(model) - before).norm().item() == pytest.approx(0.01, rel=1e-3)
    handle.remove()
    before = flat(model)
    optimizer.step(loss_of(model))
    assert (flat(model) - before).norm().item() > 0.02


@every_kind
def test_a_hook_may_change_the_arguments(kind):
    """As torch lets it: here the loss of another sign."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)

    def turned(_, arguments, options):
        own = arguments[1]
        return (arguments[0], lambda: own() * 2, *arguments[2:]), options

    optimizer.register_step_pre_hook(turned)
    optimizer.step(loss_of(model))
    twin = network()
    once = make(kind, twin.parameters(), lr=0.1)
    once.step(lambda: loss_of(twin)() * 2)
    assert torch.equal(flat(model), flat(twin))


@every_kind
def test_hooks_of_the_state_see_all_of_it(kind):
    model = network()
    optimizer = make(kind, model.parameters(), torch.optim.Adam, lr=0.01)
    optimizer.step(loss_of(model))
    seen = []
    optimizer.register_state_dict_post_hook(lambda _, state: seen.append(state))
    state = optimizer.state_dict()
    assert "exp_avg" in seen[0]["state"][0]
    assert seen[0]["state"].keys() == state["state"].keys()
    twin = network()
    other = make(kind, twin.parameters(), torch.optim.Adam, lr=0.5)

    def slower(_, state):
        return {**state, "param_groups": [{**group, "lr": 0.125} for group in state["param_groups"]]}

    other.register_load_state_dict_pre_hook(slower)
    heard = []
    other.register_load_state_dict_post_hook(lambda optimizer: heard.append(optimizer.param_groups[0]["lr"]))
    other.load_state_dict(state)
    assert heard == [0.125]
    assert other.base.param_groups[0]["lr"] == 0.125


def test_the_order_is_not_that_of_a_base_that_fires_everything():
    """Wrong on purpose: what stepping the base as it stands would do."""
    model = network()
    optimizer = SAM(model.parameters(), lr=0.1)
    loss_of(model)().backward()
    with _Listening(optimizer) as heard:
        optimizer.base.step()
    assert ("all: before", "SGD") in heard
    assert not torch.equal(trained(SAM), trained(SAM, rho=0.0))
