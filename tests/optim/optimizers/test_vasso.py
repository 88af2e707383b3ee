"""The moving average of VaSSO: what changes it and what does not."""

import copy

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.optim import VaSSO

from .transcriptions import BATCHES, RHO, SGD, flat, loss_of, network


def _optimizer(model, **more):
    return VaSSO(model.parameters(), rho=RHO, theta=0.3, **SGD, **more)


def _average(optimizer):
    return torch.cat([optimizer.state[p]["direction"].reshape(-1) for p in optimizer.parameters()])


def _gradient(model, batch):
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss_of(model, batch)(), list(model.parameters()))])


def test_it_is_that_of_the_gradients():
    model = network()
    optimizer, truth = _optimizer(model), None
    for batch in BATCHES:
        g = _gradient(model, batch)
        truth = g if truth is None else 0.7 * truth + 0.3 * g
        optimizer.step(loss_of(model, batch))
        torch.testing.assert_close(_average(optimizer), truth, rtol=1e-12, atol=1e-15)
    assert (_average(optimizer) - g).norm() > 0.1 * g.norm()  # it is not the last one


@pytest.mark.parametrize("failing_pass", [1, 2])
@pytest.mark.parametrize("how", ["raises", "nan"])
def test_a_step_that_is_not_taken_does_not_change_it(failing_pass, how):
    model = network()
    optimizer = _optimizer(model, nonfinite="skip")
    optimizer.step(loss_of(model, BATCHES[0]))
    before, point, calls = _average(optimizer).clone(), flat(model), []

    def closure():
        calls.append(1)
        loss = loss_of(model, BATCHES[1])()
        if len(calls) == failing_pass:
            if how == "raises":
                raise RuntimeError("interrupted")
            loss = loss * float("nan")
        return loss

    twin = copy.deepcopy(model)
    other = _optimizer(twin)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    if how == "raises":
        with pytest.raises(RuntimeError, match="interrupted"):
            optimizer.step(closure)
    else:
        optimizer.step(closure)
        assert optimizer.skipped == 1
    assert torch.equal(_average(optimizer), before)
    assert torch.equal(flat(model), point)
    # and the next step is as if nothing had been
    optimizer.step(loss_of(model, BATCHES[2]))
    other.step(loss_of(twin, BATCHES[2]))
    assert torch.equal(flat(model), flat(twin))


def test_a_step_without_perturbation_does_not_bring_a_failed_one_back():
    model = network()
    optimizer = _optimizer(model)
    optimizer.step(loss_of(model, BATCHES[0]))
    before, calls = _average(optimizer).clone(), []

    def closure():
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("interrupted")
        return loss_of(model, BATCHES[1])()

    with pytest.raises(RuntimeError):
        optimizer.step(closure)
    optimizer.param_groups[0]["rho"] = 0.0
    optimizer.step(loss_of(model, BATCHES[1]))
    assert torch.equal(_average(optimizer), before)


def test_diagnostics_do_not_change_it():
    model = network()
    optimizer = _optimizer(model)
    optimizer.step(loss_of(model, BATCHES[0]))
    before = _average(optimizer).clone()
    g = _gradient(model, BATCHES[1])
    u = optimizer.perturbation(g)
    mixed = 0.7 * before + 0.3 * g
    torch.testing.assert_close(u, mixed / mixed.norm(), rtol=1e-12, atol=1e-15)
    assert torch.equal(_average(optimizer), before)
    optimizer.step(loss_of(model, BATCHES[1]))
    torch.testing.assert_close(_average(optimizer), mixed, rtol=1e-12, atol=1e-15)


def test_a_parameter_that_joins_later_starts_with_its_own_gradient():
    a, b = (nn.Parameter(torch.tensor([v], dtype=torch.float64)) for v in (1.0, 2.0))
    b.requires_grad_(False)
    optimizer = VaSSO([a, b], rho=0.1, theta=0.25, lr=0.0)
    optimizer.step(lambda: 3 * a.sum())
    b.requires_grad_(True)
    optimizer.step(lambda: 7 * (a + b).sum())
    assert optimizer.state[a]["direction"].item() == pytest.approx(0.75 * 3 + 0.25 * 7)
    assert optimizer.state[b]["direction"].item() == pytest.approx(7)


def test_a_state_with_another_theta_is_refused():
    model = network()
    optimizer = _optimizer(model)
    optimizer.step(loss_of(model, BATCHES[0]))
    with pytest.raises(InputError, match=r"theta = 0\.3, this optimizer has 0\.9"):
        VaSSO(model.parameters(), rho=RHO, **SGD).load_state_dict(optimizer.state_dict())
