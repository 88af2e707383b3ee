"""Whatever goes wrong in a step: nothing has been overwritten, and the next step is that of one that never failed."""

import functools
import math

import pytest
import torch
from torch import nn

from eigensam.ground import InputError

from .kinds import every_kind, every_two_pass, flat, loss_of, make, network, same, snapshot, step_in_halves

BASE = {"base": torch.optim.AdamW, "lr": 0.01}


class _Wrong:
    """A closure that does something wrong in one of its passes."""

    def __init__(self, model, at, how):
        self.model, self.at, self.how, self.calls = model, at, how, 0

    def __call__(self):
        self.calls += 1
        loss = loss_of(self.model)()
        return self.how(loss, self.model) if self.calls == self.at else loss


def _fails(error):
    def how(loss, model):
        raise error

    return how


def _fails_in_backward(error):
    def how(loss, model):
        def stop(grad):
            raise error

        hooked = loss.clone()
        hooked.register_hook(stop)
        return hooked

    return how


def _fails_late_in_backward(error):
    """When some parameters have their gradients already."""

    def how(loss, model):
        class _Stop(torch.autograd.Function):
            @staticmethod
            def forward(ctx, w):
                return w.clone()

            @staticmethod
            def backward(ctx, grad):
                raise error

        return loss + _Stop.apply(model[0].weight).sum()

    return how


@functools.cache
def _passes(kind):
    model = network()
    optimizer = make(kind, model.parameters(), **BASE)
    closure = _Wrong(model, 0, None)
    optimizer.step(closure)
    return closure.calls


@functools.cache
def _undisturbed(kind):
    """Where a training to which nothing happens is after each of its steps."""
    model = network()
    optimizer = make(kind, model.parameters(), **BASE)
    points = [flat(model)]
    for _ in range(5):
        optimizer.step(loss_of(model))
        points.append(flat(model))
    return points


class _Watched:
    """An optimizer with what it must not lose, in its first step or later."""

    def __init__(self, kind, steps_before, **options):
        self.kind, self.model, self.steps = kind, network(), 0
        self.optimizer = make(kind, self.model.parameters(), **BASE, **options)
        self.go_on(steps_before)
        self.before, self.state = flat(self.model), snapshot(self.optimizer.state_dict())

    def go_on(self, steps=2):
        for _ in range(steps):
            self.optimizer.step(loss_of(self.model))
        self.steps += steps
        assert torch.equal(flat(self.model), _undisturbed(self.kind)[self.steps])

    def unchanged(self, skipped=0):
        assert torch.equal(flat(self.model), self.before)
        state = self.optimizer.state_dict()
        for group in state["param_groups"]:
            group["sharpness_aware"]["skipped"] -= skipped
        assert same(state, self.state)


HOW = {
    "in the loss": _fails,
    "in backward": _fails_in_backward,
    "late in backward": _fails_late_in_backward,
}


@every_kind
@pytest.mark.parametrize(
    ("before", "where", "error"),
    [
        (0, "in the loss", RuntimeError("interrupted")),
        (3, "in the loss", KeyboardInterrupt()),
        (3, "in backward", RuntimeError("interrupted")),
        (0, "late in backward", RuntimeError("interrupted")),
        (3, "late in backward", KeyboardInterrupt()),
    ],
)
def test_an_exception_in_any_pass(kind, before, where, error):
    for at in range(1, _passes(kind) + 1):
        watched = _Watched(kind, before)
        try:
            watched.optimizer.step(_Wrong(watched.model, at, HOW[where](error)))
        except type(error):
            watched.unchanged()
            watched.go_on()
        else:  # there are fewer passes; or a Hessian that could not be had was taken from differences
            assert not torch.equal(flat(watched.model), watched.before)


@every_kind
def test_an_exception_leaves_the_same_buffers(kind):
    """The objects, too: a compiled or sharded model has them by name."""

    def build():
        return network(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))

    for at in range(1, _passes(kind) + 1):
        model = build()
        optimizer = make(kind, model.parameters(), lr=0.1)
        objects = list(model.buffers())
        with pytest.raises(RuntimeError):
            optimizer.step(_Wrong(model, at, _fails(RuntimeError("interrupted"))))
        assert all(a is b for a, b in zip(model.buffers(), objects, strict=True))
        assert int(model[1].num_batches_tracked) <= 1


@every_kind
def test_an_exception_in_a_hook(kind):
    watched = _Watched(kind, 2)

    def stop(*_):
        raise RuntimeError("interrupted")

    for register in (watched.optimizer.register_step_pre_hook, watched.optimizer.base.register_step_pre_hook):
        handle = register(stop)
        with pytest.raises(RuntimeError, match="interrupted"):
            watched.optimizer.step(loss_of(watched.model))
        handle.remove()
        assert torch.equal(flat(watched.model), watched.before)
    handle = watched.optimizer.register_after_backward_hook(stop)
    with pytest.raises(RuntimeError, match="interrupted"):
        watched.optimizer.step(loss_of(watched.model))
    handle.remove()
    assert torch.equal(flat(watched.model), watched.before)
    watched.go_on()


def _nan(loss, model):
    return loss * math.nan


def _infinite(loss, model):
    return loss * math.inf


def _nan_that_no_parameter_sees(loss, model):
    return loss + math.nan


def _nan_gradient(loss, model):
    """Of a finite loss: the slope of a square root at 0."""
    return loss + (model[0].weight * 0).square().sum().sqrt()


NOT_FINITE = {
    "nan": _nan,
    "infinite": _infinite,
    "constant nan": _nan_that_no_parameter_sees,
    "nan gradient": _nan_gradient,
}


@every_kind
@pytest.mark.parametrize(
    ("before", "what"), [(0, "nan"), (3, "infinite"), (3, "constant nan"), (0, "nan gradient"), (3, "nan gradient")]
)
def test_what_is_not_finite_is_raised(kind, before, what):
    for at in range(1, _passes(kind) + 1):
        watched = _Watched(kind, before)
        closure = _Wrong(watched.model, at, NOT_FINITE[what])
        try:
            watched.optimizer.step(closure)
        except InputError as error:
            assert "finite" in str(error) or "norm nan" in str(error) or "norm inf" in str(error)  # noqa: PT017
            watched.unchanged()
            watched.go_on()
        else:
            assert closure.calls < at  # a step with fewer passes


@every_kind
@pytest.mark.parametrize(
    ("before", "what"), [(0, "nan"), (3, "infinite"), (3, "constant nan"), (0, "nan gradient"), (3, "nan gradient")]
)
def test_what_is_not_finite_is_skipped_and_counted(kind, before, what):
    for at in range(1, _passes(kind) + 1):
        watched = _Watched(kind, before, nonfinite="skip")
        closure = _Wrong(watched.model, at, NOT_FINITE[what])
        loss = watched.optimizer.step(closure)
        if closure.calls < at:
            continue
        assert loss.isnan()
        assert watched.optimizer.skipped == 1
        watched.unchanged(skipped=1)
        watched.go_on()
        assert watched.optimizer.state_dict()["param_groups"][0]["sharpness_aware"]["skipped"] == 1
        twin = make(kind, network().parameters(), **BASE)
        twin.load_state_dict(watched.optimizer.state_dict())
        assert twin.skipped == 1


@every_two_pass
@pytest.mark.parametrize(("half", "what"), [(1, "nan"), (2, "infinite"), (1, "nan gradient"), (2, "nan gradient")])
def test_what_is_not_finite_in_halves(kind, half, what):
    for choice in ("skip", "raise"):
        watched = _Watched(kind, 2, nonfinite=choice)
        if getattr(watched.optimizer, "due", False):
            watched.optimizer.refresh(loss_of(watched.model))
        closure = _Wrong(watched.model, half, NOT_FINITE[what])
        if choice == "skip":
            step_in_halves(watched.optimizer, closure)
            assert watched.optimizer.skipped == 1
        else:
            with pytest.raises(InputError, match="norm"):
                step_in_halves(watched.optimizer, closure)
        watched.unchanged(skipped=int(choice == "skip"))
        watched.go_on()


@every_kind
def test_a_closure_that_is_none(kind):
    watched = _Watched(kind, 2)
    model = watched.model
    for wrong in (
        lambda: None,
        lambda: torch.ones(()),
        lambda: loss_of(model)().detach(),
        lambda: loss_of(model)().item(),
        lambda: model[0].weight,
        lambda: {"loss": loss_of(model)()},
        lambda: torch.ones((), requires_grad=True) * 2,
    ):
        with pytest.raises(InputError, match=r"closure must return|depend"):
            watched.optimizer.step(wrong)
        watched.unchanged()
    for wrong in (3, [], [3], "loss"):
        with pytest.raises(InputError, match="closure"):
            watched.optimizer.step(wrong)
    with pytest.raises(InputError, match=r"step\(closure\)|first_step"):
        watched.optimizer.step()
    with torch.no_grad(), pytest.raises(InputError, match="closure must return"):
        watched.optimizer.step(lambda: loss_of(model)().detach())
    watched.unchanged()
    watched.go_on()


@every_two_pass
def test_halves_in_the_wrong_order(kind):
    watched = _Watched(kind, 2)
    optimizer, model = watched.optimizer, watched.model
    with pytest.raises(InputError, match="first_step"):
        optimizer.second_step()
    optimizer.zero_grad()
    with pytest.raises(InputError, match="call backward"):
        optimizer.first_step()
    if getattr(optimizer, "due", False):
        optimizer.refresh(loss_of(model))
    loss_of(model)().backward()
    optimizer.first_step()
    for again in (optimizer.first_step, lambda: optimizer.step(loss_of(model))):
        with pytest.raises(InputError, match="second_step"):
            again()
    if not torch.equal(flat(model), watched.before):  # a closure has had them put back already
        optimizer.restore()
    watched.unchanged()
