"""Autocast and loss scaling: in every loop that people write, the step is that of full precision, up to rounding."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import SAM, TwoPassOptimizer

from .kinds import every_kind, every_two_pass, flat, loss_of, make, network, same, snapshot, trained

F32 = torch.float32


def _autocast(dtype=torch.bfloat16):
    return torch.autocast("cpu", dtype=dtype)


def _inside(closure, dtype=torch.bfloat16):
    def cast():
        with _autocast(dtype):
            return closure()

    return cast


def _scaler(scale=1024.0, **options):
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000, **options)


@every_kind
def test_autocast_outside_is_autocast_inside(kind):
    """Outside, its cache kept the unperturbed weights, so that SAM was SGD to the bit."""
    ends = {}
    for where in ("outside", "inside", "base"):
        model = network(dtype=F32)
        optimizer = make(kind, model.parameters(), lr=0.1, rho=0.0 if where == "base" else 0.5)
        for _ in range(3):
            if where == "inside":
                optimizer.step(_inside(loss_of(model)))
            else:
                with _autocast():
                    optimizer.step(loss_of(model))
        ends[where] = flat(model)
    assert torch.equal(ends["outside"], ends["inside"])
    assert not torch.allclose(ends["outside"], ends["base"], rtol=1e-3, atol=1e-4)


def _in_halves_under_autocast(kind, around, rho):
    model = network(dtype=F32)
    optimizer = make(kind, model.parameters(), lr=0.1, rho=rho)
    for _ in range(3):
        closure = loss_of(model) if around else _inside(loss_of(model))
        if getattr(optimizer, "due", False):
            optimizer.refresh(closure)
        # No context at all in place of one that is switched off: that would keep the cache of those inside.
        with _autocast() if around else nullcontext():
            optimizer.zero_grad()
            closure().backward()
            optimizer.first_step()
            closure().backward()
            optimizer.second_step()
    return flat(model)


@every_two_pass
def test_autocast_around_both_halves(kind):
    """Its cache kept the unperturbed weights for the second pass, and for the next step those of the second pass."""
    around, inside = (_in_halves_under_autocast(kind, each, 0.5) for each in (True, False))
    base = _in_halves_under_autocast(kind, True, 0.0)
    close = {"rtol": 0.02, "atol": 0.002}  # backward passes inside autocast round otherwise
    torch.testing.assert_close(around, inside, **close)
    assert not torch.allclose(around, base, **close)


class _Partly(nn.Module):
    """A layer in the precision of its parameters within a network in a narrow one."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            return self.inner(x)


@every_kind
def test_backward_is_made_in_the_precision_of_forward(kind):
    """Also where autocast is open around the step: a layer that was left out of it was differentiated inside."""
    ends = []
    for where in ("outside", "inside"):
        torch.manual_seed(0)
        model = network(_Partly(), nn.Tanh(), nn.Linear(4, 3), dtype=F32)
        optimizer = make(kind, model.parameters(), lr=0.1)
        for _ in range(2):
            with _autocast() if where == "outside" else nullcontext():
                optimizer.step(loss_of(model) if where == "outside" else _inside(loss_of(model)))
        ends.append(flat(model))
    assert torch.equal(*ends)


def _whole(optimizer, closure, scaler):
    return optimizer.step(closure, scaler=scaler)


def _halves(optimizer, closure, scaler):
    if getattr(optimizer, "due", False):
        optimizer.refresh(closure)
    optimizer.zero_grad()
    scaler.scale(closure()).backward()
    optimizer.first_step(scaler=scaler)
    scaler.scale(closure()).backward()
    optimizer.second_step(scaler=scaler)


def _by_the_scaler(optimizer, closure, scaler):
    if getattr(optimizer, "due", False):
        optimizer.refresh(closure)
    optimizer.zero_grad()
    scaler.scale(closure()).backward()
    optimizer.first_step(scaler=scaler)
    scaler.scale(closure()).backward()
    scaler.step(optimizer)


def _scaled_inside(optimizer, closure, scaler):
    return optimizer.step(lambda: scaler.scale(closure()), scaler=scaler)


WAYS = {"whole": _whole, "halves": _halves, "by the scaler": _by_the_scaler}


def _ways(kind):
    return WAYS if hasattr(kind, "first_step") else {"whole": _whole}


@every_kind
def test_scaling_by_a_power_of_two_changes_nothing(kind):
    for way, step in _ways(kind).items():
        model, twin, scaler = network(dtype=F32), network(dtype=F32), _scaler()
        optimizer = make(kind, model.parameters(), lr=0.1, momentum=0.9)
        plain = make(kind, twin.parameters(), lr=0.1, momentum=0.9)
        for _ in range(4):
            step(optimizer, loss_of(model), scaler)
            scaler.update()
            plain.step(loss_of(twin))
        torch.testing.assert_close(flat(model), flat(twin), rtol=1e-6, atol=1e-7, msg=way)
        assert scaler.get_scale() == 1024.0


@every_kind
def test_half_precision(kind):
    """Activations in float16; rounding only."""
    for way, step in _ways(kind).items():
        model, twin, scaler = network(dtype=F32), network(dtype=F32), _scaler(2.0**12)
        optimizer = make(kind, model.parameters(), lr=0.1)
        plain = make(kind, twin.parameters(), lr=0.1)
        for _ in range(4):
            step(optimizer, _inside(loss_of(model), torch.float16), scaler)
            scaler.update()
            plain.step(loss_of(twin))
        torch.testing.assert_close(flat(model), flat(twin), rtol=0.02, atol=0.002, msg=way)


def _passes_of(kind, step):
    """How many times a closure is called in the first step, and in how many of these its gradient is scaled."""
    model, scaler, scaled = network(dtype=F32), _scaler(), []
    optimizer = make(kind, model.parameters(), lr=0.1)

    def closure():
        loss = loss_of(model)()
        scaled.append(False)
        at = len(scaled) - 1

        def seen(grad):
            scaled[at] = bool(grad.abs() > 2)

        loss.register_hook(seen)
        return loss

    step(optimizer, closure, scaler)
    return scaled


@every_kind
def test_overflow_in_any_pass_skips_the_step(kind):
    """The scale is halved, nothing else has changed, and later steps are those of one that never overflowed."""
    for way, step in _ways(kind).items():
        for failing in [i for i, scaled in enumerate(_passes_of(kind, step)) if scaled]:
            model, twin, scaler, calls = network(dtype=F32), network(dtype=F32), _scaler(), []
            optimizer = make(kind, model.parameters(), torch.optim.AdamW, lr=0.01)
            plain = make(kind, twin.parameters(), torch.optim.AdamW, lr=0.01)

            def closure(calls=calls, model=model, failing=failing):
                calls.append(1)
                loss = loss_of(model)()
                return loss * 1e37 if len(calls) == failing + 1 else loss  # finite, until it is scaled

            before, state = flat(model), snapshot(plain.state_dict())
            step(optimizer, closure, scaler)
            scaler.update()
            assert scaler.get_scale() == 512.0, (way, failing)
            assert torch.equal(flat(model), before), (way, failing)
            assert optimizer.skipped == 1
            if not hasattr(optimizer, "refresh"):
                state = {**state, "param_groups": optimizer.state_dict()["param_groups"]}
                assert same(optimizer.state_dict(), state), (way, failing)
            for _ in range(3):
                step(optimizer, loss_of(model), scaler)
                scaler.update()
                plain.step(loss_of(twin))
            torch.testing.assert_close(flat(model), flat(twin), rtol=1e-5, atol=1e-6, msg=f"{way} {failing}")
            assert scaler.get_scale() == 512.0


@every_kind
def test_a_closure_that_scales_by_itself_is_refused(kind):
    model, scaler = network(dtype=F32), _scaler()
    optimizer = make(kind, model.parameters(), lr=0.1)
    before = flat(model)
    with pytest.raises(InputError, match=r"optimizer\.step\(closure, scaler=scaler\)"):
        optimizer.step(lambda: scaler.scale(loss_of(model)()))
    assert torch.equal(flat(model), before)
    twin = network(dtype=F32)
    fresh = make(kind, twin.parameters(), lr=0.1)
    optimizer.step(loss_of(model))
    fresh.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))


@every_kind
def test_gradients_made_before_and_a_scaler(kind):
    """They may be scaled or not; methods that use their length would be wrong by the scale."""
    model, scaler = network(dtype=F32), _scaler()
    optimizer = make(kind, model.parameters(), lr=0.1)
    before = flat(model)
    scaler.scale(loss_of(model)()).backward()
    for _ in range(2):  # asked again, the answer is the same
        with pytest.raises(InputError, match="zero_grad"):
            optimizer.step(loss_of(model), scaler=scaler)
        assert torch.equal(flat(model), before)


@every_kind
def test_a_closure_that_scales_and_says_so(kind):
    """Right, or refused."""
    model, scaler = network(dtype=F32), _scaler()
    optimizer = make(kind, model.parameters(), lr=0.1)
    try:
        for _ in range(4):
            _scaled_inside(optimizer, loss_of(model), scaler)
            scaler.update()
    except InputError as error:
        assert "plain loss" in str(error)  # noqa: PT017
        return
    twin = network(dtype=F32)
    plain = make(kind, twin.parameters(), lr=0.1)
    for _ in range(4):
        plain.step(loss_of(twin))
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-5, atol=1e-6)


@every_kind
def test_a_scaler_that_is_switched_off_is_nothing(kind):
    for step in (*_ways(kind).values(), _scaled_inside):
        model, twin, scaler = network(dtype=F32), network(dtype=F32), _scaler(enabled=False)
        optimizer, plain = make(kind, model.parameters(), lr=0.1), make(kind, twin.parameters(), lr=0.1)
        for _ in range(3):
            step(optimizer, loss_of(model), scaler)
            scaler.update()
            plain.step(loss_of(twin))
        torch.testing.assert_close(flat(model), flat(twin), rtol=1e-6, atol=1e-7)


@every_two_pass
def test_clipping_after_unscaling(kind):
    """``scaler.unscale_`` before the scaler's own step, to clip, as torch's documentation has it."""
    model, scaler = network(dtype=F32), _scaler()
    optimizer = make(kind, model.parameters(), lr=1.0)
    closure = loss_of(model)
    if getattr(optimizer, "due", False):
        optimizer.refresh(closure)
    before = flat(model)
    scaler.scale(closure()).backward()
    optimizer.first_step(scaler=scaler)
    scaler.scale(closure()).backward()
    optimizer.restore()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    scaler.step(optimizer)
    scaler.update()
    length = (flat(model) - before).norm().item()
    if kind.combined is TwoPassOptimizer.combined:
        assert length == pytest.approx(0.01, rel=1e-2)
    else:  # what comes of the clipped gradient is the method's own; a hook after the passes clips that
        assert 0 < length < 0.05


def test_two_optimizers_and_one_scaler():
    """As in adversarial training: an overflow of one is not one of the other."""
    first, second, scaler = network(dtype=F32), network(dtype=F32, seed=1), _scaler()
    one, two = (SAM(m.parameters(), rho=0.1, lr=0.1) for m in (first, second))
    before = flat(first)
    one.step(lambda: loss_of(first)() * 1e37, scaler=scaler)
    two.step(loss_of(second), scaler=scaler)
    scaler.update()
    assert torch.equal(flat(first), before)
    assert (one.skipped, two.skipped) == (1, 0)
    assert scaler.get_scale() == 512.0


def test_without_unscaling_the_step_is_another_one():
    """Wrong on purpose: the scaled gradient as it is; and halves of which one knows of the scaler are refused."""
    model, scaler = network(dtype=F32), _scaler()
    optimizer = SAM(model.parameters(), rho=0.1, lr=0.1)
    scaler.scale(loss_of(model)()).backward()
    optimizer.first_step(scaler=scaler)
    scaler.scale(loss_of(model)()).backward()
    with pytest.raises(InputError, match="scaler"):
        optimizer.second_step()
    twin = network(dtype=F32)
    optimizer = SAM(twin.parameters(), rho=0.1, lr=0.1)
    scaler.scale(loss_of(twin)()).backward()
    optimizer.first_step()
    scaler.scale(loss_of(twin)()).backward()
    optimizer.second_step()
    assert not torch.allclose(flat(twin), trained(SAM, 1).float(), rtol=0.1)
