"""Momentum-SAM: whose momentum, and the paper's weights that are moved back for evaluation."""

import pytest
import torch
from torch import nn

from eigensam.optim import MomentumSAM

from .transcriptions import BATCHES, RHO, flat, flat_loss, loss_of, network

LR, MU = 0.2, 0.9


def _moved(model, batches, rho=RHO, decay=0.0, sign=-1.0, back=True):
    """Algorithm 1 with the weights ``y`` left perturbed between steps; what is evaluated after each step.

    As released: the gradient at ``y`` has the decay of ``y``; then back to ``x``, momentum, step, and on to the next
    ``y``. For an evaluation ``y`` is moved back.
    """
    y, v, unit, seen = flat(model), torch.zeros_like(flat(model)), torch.zeros_like(flat(model)), []
    for batch in batches:
        g = torch.func.grad(flat_loss(model, batch))(y) + decay * y
        x = y - sign * rho * unit
        v = MU * v + g
        x = x - LR * v
        unit = v / v.norm()
        y = x + sign * rho * unit
        seen.append(y - sign * rho * unit if back else y)
    return torch.stack(seen)


def _ours(model, batches, rho=RHO, decay=0.0):
    optimizer = MomentumSAM(model.parameters(), rho=rho, lr=LR, momentum=MU, weight_decay=decay)
    seen = []
    for batch in batches:
        optimizer.step(loss_of(model, batch))
        seen.append(flat(model))
    return torch.stack(seen)


def test_the_weights_at_evaluation_are_those_that_the_paper_moves_back():
    batches = [*BATCHES, *BATCHES]
    found = _ours(network(), batches)
    torch.testing.assert_close(found, _moved(network(), batches), rtol=1e-10, atol=1e-12)
    # wrong on purpose: not moved back, they are rho away in every step; and the other sign is another method
    away = (found - _moved(network(), batches, back=False)).norm(dim=1)
    torch.testing.assert_close(away, torch.full_like(away, RHO), rtol=1e-9, atol=0)
    assert (found - _moved(network(), batches, sign=1.0))[-1].norm() > 1e-2


def test_the_released_code_decays_perturbed_weights():
    """In the second step, the first one that is perturbed, it is ``lr decay rho v/|v|`` away, exactly."""
    decay = 0.05
    ours, theirs = (f(network(), BATCHES[:2], decay=decay) for f in (_ours, _moved))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-12, atol=1e-14)
    v = (flat(network()) - ours[0]) / LR
    torch.testing.assert_close(theirs[1] - ours[1], LR * decay * RHO * v / v.norm(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("rho", [0.05, 0.2])
def test_a_quadratic_in_closed_form(rho):
    """``h x^2/2`` from 1: the buffers are h, and then mu h + h (x1 - rho), x1 = 1 - lr h > rho."""
    x, h = nn.Parameter(torch.ones(1, dtype=torch.float64)), 2.0
    optimizer = MomentumSAM([x], rho=rho, lr=0.1, momentum=0.5)
    for _ in range(2):
        optimizer.step(lambda: 0.5 * h * (x**2).sum())
    first = 1 - 0.1 * h
    assert x.item() == pytest.approx(first - 0.1 * (0.5 * h + h * (first - rho)), rel=1e-12)


BASES = {
    "SGD": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, "momentum_buffer"),
    "AdamW": (torch.optim.AdamW, {"lr": 0.01}, "exp_avg"),
    "NAdam": (torch.optim.NAdam, {"lr": 0.01}, "exp_avg"),
    "RMSprop": (torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.9}, "momentum_buffer"),
    "SGD without momentum": (torch.optim.SGD, {"lr": 0.1}, None),
    "Adagrad": (torch.optim.Adagrad, {"lr": 0.1}, None),
}


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("name", BASES)
def test_it_is_the_base_whose_momentum_counts(name, maximize):
    """The base alone, by hand, with the gradient at ``x - rho v/|v|``; where it has no ``v``, with a sum of our own."""
    base, options, key = BASES[name]
    sign = -1.0 if maximize else 1.0
    model, twin = network(), network()
    optimizer = MomentumSAM(model.parameters(), base, rho=RHO, decay=0.7, maximize=maximize, **options)
    alone, own = base(twin.parameters(), maximize=maximize, **options), None
    for batch in BATCHES:
        optimizer.step(lambda batch=batch: sign * loss_of(model, batch)())
        x = [p.detach().clone() for p in twin.parameters()]
        if key is None:
            v = own
        elif alone.state:
            v = torch.cat([alone.state[p][key].reshape(-1) for p in twin.parameters()]).clone()
        else:
            v = None
        if v is not None:
            shift = (-RHO * v / v.norm()).split([p.numel() for p in x])
            with torch.no_grad():
                for p, each in zip(twin.parameters(), shift, strict=True):
                    p.add_(each.view_as(p))
        alone.zero_grad()
        (sign * loss_of(twin, batch)()).backward()
        with torch.no_grad():
            for p, each in zip(twin.parameters(), x, strict=True):
                p.copy_(each)
        g = sign * torch.cat([p.grad.reshape(-1) for p in twin.parameters()])
        own = g if own is None else 0.7 * own + g
        alone.step()
    torch.testing.assert_close(flat(model), flat(twin), rtol=1e-10, atol=1e-12)
    assert bool(any("momentum" in state for state in optimizer.state.values())) == (key is None)


def test_a_step_that_is_not_taken_leaves_the_momentum():
    model = network()
    optimizer = MomentumSAM(model.parameters(), rho=RHO, lr=0.1, nonfinite="skip")
    optimizer.step(loss_of(model, BATCHES[0]))
    before = [state["momentum"].clone() for state in optimizer.state.values()]
    optimizer.step(lambda: loss_of(model, BATCHES[1])() * float("nan"))
    for state, old in zip(optimizer.state.values(), before, strict=True):
        assert torch.equal(state["momentum"], old)
    assert optimizer.skipped == 1


def test_sparse_gradients_leave_a_sparse_momentum():
    """Which torch's SGD keeps of an embedding; the same steps as with dense ones."""

    def trained(sparse):
        torch.manual_seed(0)
        embedding = nn.Embedding(5, 3, sparse=sparse, dtype=torch.float64)
        optimizer = MomentumSAM(embedding.parameters(), rho=0.3, lr=0.1, momentum=0.9)
        for row in (1, 3, 1, 0):
            optimizer.step(lambda row=row: (embedding(torch.tensor([row, 2])) ** 2).sum())
        return embedding.weight.detach(), optimizer.base.state[embedding.weight]["momentum_buffer"]

    (ours, sparse), (theirs, _) = trained(True), trained(False)
    assert sparse.is_sparse
    torch.testing.assert_close(ours, theirs)
