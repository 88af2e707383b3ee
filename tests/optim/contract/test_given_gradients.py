"""Gradients that a loop made by ``backward`` before ``step(closure)``: used, told from old ones, refused if foreign."""

import pytest
import torch
from torch import nn

from eigensam.ground import InputError

from .kinds import DATA, every_kind, flat, loss_of, make, network, trained


def _used(kind, model, optimizer, before_step=lambda: None, **zero):
    """Steps in the form of torch's LBFGS example, with a backward pass before."""
    for _ in range(4):
        optimizer.zero_grad(**zero)
        loss_of(model)().backward()
        before_step()
        optimizer.step(loss_of(model))


def _takes_them(kind):
    """Whether a kind uses the gradient at the parameters as they are; one that does not has to say so."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    loss_of(model)().backward()
    before = flat(model)
    try:
        optimizer.step(loss_of(model))
    except InputError as error:
        assert "zero_grad" in str(error)  # noqa: PT017
        assert torch.equal(flat(model), before)
        return False
    return True


@every_kind
def test_they_are_the_first_pass(kind):
    if not _takes_them(kind):
        return
    model, calls = network(), []
    _used(kind, model, make(kind, model.parameters(), lr=0.1))
    torch.testing.assert_close(flat(model), trained(kind), rtol=1e-12, atol=1e-14)
    # and not made again: only the first step looks whether they are those of the closure

    def counted():
        calls.append(1)
        return loss_of(model)()

    counts = []
    for given in (False, True):
        optimizer = make(kind, model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            if given:
                loss_of(model)().backward()
            calls.clear()
            optimizer.step(counted)
        counts.append(len(calls))
    assert counts[1] == counts[0] - 1


@every_kind
def test_clipping_in_a_step_hook_sees_them(kind):
    """It saw zeros, and the step was not clipped but as it was. Here the length counts for methods that use it."""
    if not _takes_them(kind):
        return
    model, norms = network(), []
    optimizer = make(kind, model.parameters(), lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 10.0))))
    _used(kind, model, optimizer)
    assert min(norms) > 0.01
    torch.testing.assert_close(flat(model), trained(kind), rtol=1e-12, atol=1e-14)


@every_kind
def test_those_of_another_minibatch_are_refused(kind):
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    other = DATA[0].flip(0) * 2, (DATA[1] + 1) % 3
    loss_of(model, other)().backward()
    before = flat(model)
    for _ in range(2):  # asked again, the answer is the same
        with pytest.raises(InputError, match="zero_grad"):
            optimizer.step(loss_of(model))
    assert torch.equal(flat(model), before)
    optimizer.zero_grad()
    for _ in range(4):
        optimizer.step(loss_of(model))
    assert torch.equal(flat(model), trained(kind))


@every_kind
@pytest.mark.parametrize(
    "zero", [None, {"set_to_none": True}, {"set_to_none": False}], ids=["none", "to none", "zeros"]
)
def test_old_gradients_and_zeros_are_none(kind, zero):
    """Those that our own last step left, and those that ``zero_grad`` leaves."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    for _ in range(4):
        if zero is not None:
            optimizer.zero_grad(**zero)
        optimizer.step(loss_of(model))
    assert torch.equal(flat(model), trained(kind))


@every_kind
def test_a_closure_as_torchs_own_examples_have_it(kind):
    """With ``zero_grad`` and ``backward`` inside; right, or refused by kinds that differentiate twice."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)()
        loss.backward()
        return loss

    try:
        for _ in range(4):
            optimizer.step(closure)
    except InputError as error:
        assert "must not call backward" in str(error)  # noqa: PT017
        return
    torch.testing.assert_close(flat(model), trained(kind), rtol=1e-12, atol=1e-14)


@every_kind
def test_several_closures_are_their_mean(kind):
    """Accumulation, of halves of a minibatch; a kind that perturbs for each of them differs, and is asked nothing."""
    model = network()
    halves = [(DATA[0][:5], DATA[1][:5]), (DATA[0][5:], DATA[1][5:])]
    optimizer = make(kind, model.parameters(), lr=0.1)
    for _ in range(4):
        loss = optimizer.step([loss_of(model, half) for half in halves])
    assert loss.isfinite()
    truth = trained(kind)
    close = torch.allclose(flat(model), truth, rtol=1e-10, atol=1e-12)
    makers = [getattr(kind, name, None) for name in ("make_gradient", "perturbed_gradient")]
    assert close or any({"parts", "alone"} & set(maker.__code__.co_names) for maker in makers if maker)
    same_twice = network()
    optimizer = make(kind, same_twice.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.step([loss_of(same_twice), loss_of(same_twice)])
    torch.testing.assert_close(flat(same_twice), truth, rtol=1e-10, atol=1e-12)


@every_kind
def test_two_optimizers_of_one_loss(kind):
    """What the passes of one leave in the parameters of the other is not taken for gradients made for it."""
    model, twin = network(), network()
    parts = [list(model.parameters())[:2], list(model.parameters())[2:]]
    truths = [list(twin.parameters())[:2], list(twin.parameters())[2:]]
    optimizers = [make(kind, part, lr=0.1) for part in parts]
    for _ in range(3):
        for optimizer in optimizers:
            optimizer.step(loss_of(model))
    others = [make(kind, part, lr=0.1) for part in truths]
    for _ in range(3):
        for optimizer in others:
            twin.zero_grad()
            optimizer.step(loss_of(twin))
    assert torch.equal(flat(model), flat(twin))


@every_kind
@pytest.mark.parametrize("first", [1, 64])
def test_those_of_another_loss_after_a_step(kind, first):
    """They were dropped where the first parameter has one entry: of that, every gradient is a multiple."""
    model, lead = network(), nn.Parameter(torch.ones(first).double())
    optimizer = make(kind, [lead, *model.parameters()], lr=0.1)

    def loss(data=DATA, sign=1.0):
        return (sign * loss_of(model, data)() + 0.01 * lead.sum()) if first == 1 else loss_of(model, data)()

    lead.requires_grad_(first == 1)
    if not _takes_them(kind):
        return
    optimizer.step(loss)
    for p in optimizer.parameters():
        p.grad.zero_()  # as zero_grad(set_to_none=False): the tensors that the step left
    loss(sign=-1.0, data=(DATA[0] * 2, (DATA[1] + 1) % 3)).backward()
    before = flat(model)
    with pytest.raises(InputError, match="zero_grad"):
        optimizer.step(loss)
    assert torch.equal(flat(model), before)


@every_kind
def test_those_that_a_step_left_may_be_scaled(kind):
    """As clipping in a hook of the step does it; also where the first parameter has one entry."""
    ends = []
    for scaled in (False, True):
        model, lead = network(), nn.Parameter(torch.ones(1).double())
        optimizer = make(kind, [lead, *model.parameters()], lr=0.1)
        for _ in range(3):
            optimizer.step(lambda model=model, lead=lead: loss_of(model)() + (lead - 5).square().sum())
            for p in optimizer.parameters():
                p.grad.mul_(0.5 if scaled else 1.0)
        ends.append(torch.cat([flat(model), lead.detach()]))
    assert torch.equal(*ends)
