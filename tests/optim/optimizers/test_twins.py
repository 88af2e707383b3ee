"""pytorch_optimizer's methods beside ours and beside the formula; where they differ, the formula says who is right."""

import pytest
import torch
from torch import nn

from eigensam.optim import ASAM, GSAM, SAM

from .transcriptions import BATCHES, RHO, SGD, Asam, Gsam, Sam, flat, loss_of, network, trajectory

twins = pytest.importorskip("pytorch_optimizer", reason="the twin of our methods is not installed")

ALPHA = 0.4


class ConstantRadius:
    """What the twin of GSAM asks for its radius."""

    def step(self):
        return RHO


def _closure(model, optimizer, batch):
    @torch.enable_grad()
    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batch)()
        loss.backward()
        return loss

    return closure


def _twin_sam(**own):
    def make(model):
        return twins.SAM(model.parameters(), torch.optim.SGD, rho=RHO, **own, **SGD)

    def step(optimizer, closure):
        closure()
        optimizer.step(closure)

    return make, step


def _twin_gsam():
    def make(model):
        base = torch.optim.SGD(model.parameters(), **SGD)
        return twins.GSAM(model.parameters(), base, model, ConstantRadius(), alpha=ALPHA)

    def step(optimizer, closure):
        optimizer.step(lambda: (None, closure()))

    return make, step


PAIRS = {
    "SAM": (*_twin_sam(), lambda p: SAM(p, rho=RHO, **SGD), Sam({})),
    "adaptive SAM": (*_twin_sam(adaptive=True), lambda p: ASAM(p, rho=RHO, eta=0.0, **SGD), Asam({"eta": 0.0})),
    "GSAM": (*_twin_gsam(), lambda p: GSAM(p, rho=RHO, alpha=ALPHA, **SGD), Gsam({"alpha": ALPHA})),
}


def _both(name):
    """End points of ours, the twin, and the formula."""
    make, step, ours, dense = PAIRS[name]
    model, other = network(), network()
    optimizer, twin = ours(model.parameters()), make(other)
    for batch in BATCHES:
        optimizer.step(loss_of(model, batch))
        step(twin, _closure(other, twin, batch))
    dense.state.clear()
    truth = trajectory(dense, network(), [[batch] for batch in BATCHES], torch.full_like(flat(network()), RHO))
    return flat(model), flat(other), truth


@pytest.mark.parametrize("name", PAIRS)
def test_the_same_steps_up_to_the_twins_rounding(name):
    """It adds up norms in float32, whatever the parameters are; ours has the digits of the formula."""
    ours, twin, truth = _both(name)
    torch.testing.assert_close(twin, ours, rtol=1e-5, atol=1e-7)
    assert (ours - truth).norm() < 1e-13
    assert (twin - truth).norm() > 1e-10
    assert (flat(network()) - truth).norm() > 0.1


def _moved(optimizer, x, loss):
    """How far the ascent moves a parameter."""
    visited = []

    def closure():
        optimizer.zero_grad()
        visited.append(x.detach().clone())
        value = loss(x)
        value.backward()
        return value

    if isinstance(optimizer, twins.SAM):
        closure()
    optimizer.step(closure)
    return visited[-1] - visited[0]


def test_a_gradient_of_which_float32_does_not_know_the_length():
    """The twin hardly moves; to move by rho is right."""
    lengths = []
    for kind in (SAM, twins.SAM):
        x = nn.Parameter(torch.full((2,), 1e-25, dtype=torch.float64))
        optimizer = kind([x], torch.optim.SGD, rho=1.0, lr=1.0)
        lengths.append(_moved(optimizer, x, lambda x: 0.5 * (x**2).sum()).norm().item())
    assert lengths[0] == pytest.approx(1.0, abs=1e-12)
    assert lengths[1] < 1e-6


def test_a_weight_that_is_zero_has_a_neighbourhood_with_eta_only():
    """The twin of ASAM has no eta, which the released code has."""
    moved = []
    for kind, own in ((ASAM, {}), (ASAM, {"eta": 0.0}), (twins.SAM, {"adaptive": True})):
        x = nn.Parameter(torch.tensor([0.0, 1.0], dtype=torch.float64))
        optimizer = kind([x], torch.optim.SGD, rho=1.0, lr=0.0, **own)
        moved.append(_moved(optimizer, x, lambda x: x.sum())[0].item())
    assert moved[0] == pytest.approx(0.01**2 / (0.01**2 + 1.01**2) ** 0.5)
    assert moved[1:] == [0.0, 0.0]
