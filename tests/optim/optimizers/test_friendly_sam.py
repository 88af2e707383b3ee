"""Friendly-SAM: which gradients its average has, and what is left of the gradient."""

import pytest
import torch
from torch import nn

from eigensam.optim import SAM, FriendlySAM

from .transcriptions import BATCHES, RHO, SGD, flat, loss_of, network


def _visited(optimizer, model, batch):
    """The perturbation of a step."""
    seen = []
    optimizer.step(lambda: seen.append(flat(model)) or loss_of(model, batch)())
    return seen[1] - seen[0]


def _gradient(model, batch):
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss_of(model, batch)(), list(model.parameters()))])


@pytest.mark.parametrize("sigma", [1.0, 0.7])
@pytest.mark.parametrize("first", [True, False], ids=["average first", "wrong on purpose"])
def test_the_average_may_have_the_own_gradient_already(sigma, first):
    """``g - s m+`` with ``m+ = l m + (1 - l) g`` is along ``g - s l/(1 - s (1 - l)) m``; the same ``s`` only for 1."""
    model, decay = network(), 0.6
    own = sigma * decay / (1 - sigma * (1 - decay)) if first else sigma
    optimizer, m = FriendlySAM(model.parameters(), rho=RHO, sigma=own, decay=decay, **SGD), None
    for batch in BATCHES:
        g = _gradient(model, batch)
        m = decay * (g if m is None else m) + (1 - decay) * g
        d = g - sigma * m
        gap = (_visited(optimizer, model, batch) - RHO * d / d.norm()).norm()
    assert (gap < 1e-12) == (first or sigma == 1.0)
    assert gap < 1e-12 or gap > 1e-3 * RHO


def test_a_quadratic_in_closed_form():
    """Of ``(x - c)^T H (x - c)/2`` in 2 and then 0 with ``H = diag(1, 4)``, at x = (1, 1), which stays."""
    x = nn.Parameter(torch.ones(2, dtype=torch.float64))
    h = torch.tensor([1.0, 4.0], dtype=torch.float64)
    optimizer = FriendlySAM([x], rho=0.5, sigma=1.0, decay=0.9, lr=0.0)
    for centre in (2.0, 0.0):
        optimizer.step(lambda centre=centre: 0.5 * (h * (x - centre) ** 2).sum())
    # gradients (-1, -4), (1, 4): d = (2, 8), so the second pass is at 1 + (1, 4)/(2 sqrt(17))
    unit = torch.tensor([1.0, 4.0], dtype=torch.float64) / 17**0.5
    torch.testing.assert_close(x.grad, h * (1 + 0.5 * unit), rtol=1e-12, atol=0)
    average = 0.9 * -h + 0.1 * h
    torch.testing.assert_close(optimizer.state[x]["average"], average, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_rounding_leaves_is_no_direction(dtype):
    """The gradient of a linear loss is its own average, up to rounding; SAM moves all the same."""
    slope = torch.tensor([0.1, -0.7, 0.3], dtype=dtype)
    lengths = {}
    for kind in (FriendlySAM, SAM):
        x, seen = nn.Parameter(torch.zeros(3, dtype=dtype)), []
        optimizer = kind([x], rho=0.5, lr=0.0)
        for _ in range(8):
            optimizer.step(lambda x=x, seen=seen: seen.append(x.detach().clone()) or (slope * x).sum())
        lengths[kind] = [(there - here).norm().item() for here, there in zip(seen[2::2], seen[3::2], strict=True)]
    assert lengths[FriendlySAM] == [0.0] * 7
    assert lengths[SAM] == pytest.approx([0.5] * 7, rel=1e-2)
