"""The algorithms of Ahn et al.: where they perturb, what they add, and what that is on average."""

import pytest
import torch
from torch import nn

from eigensam.optim import AwarePerturbation, SmoothedPerturbation

from .transcriptions import BATCHES, RHO, SGD, flat, loss_of, network

BOTH = pytest.mark.parametrize("kind", [SmoothedPerturbation, AwarePerturbation])


def _steps(kind, model, closures, **options):
    optimizer = kind(model.parameters(), rho=RHO, lr=1.0, **options)
    before, calls = flat(model), []
    optimizer.step([lambda each=each: calls.append(1) or each() for each in closures])
    return optimizer, before - flat(model), len(calls)


@BOTH
def test_what_is_added_is_across_the_gradient(kind):
    model = network()
    g = torch.cat([p.reshape(-1) for p in torch.autograd.grad(loss_of(model, BATCHES[0])(), model.parameters())])
    optimizer, taken, calls = _steps(kind, model, [loss_of(model, BATCHES[0])])
    added = taken - g
    assert optimizer.near
    assert calls == 2
    assert abs(added @ g) < 1e-14 * g.norm()
    assert added.norm() > 1e-3


@BOTH
@pytest.mark.parametrize("near", [True, False])
def test_the_tolerance_decides(kind, near):
    """A gradient as long as the tolerance is one of a minimum; far from it there is one pass, and another rate."""
    model = network()
    g = torch.cat([p.reshape(-1) for p in torch.autograd.grad(loss_of(model, BATCHES[0])(), model.parameters())])
    tolerance = g.norm().item() * (1 + 1e-9 if near else 1 - 1e-9)
    optimizer, taken, calls = _steps(kind, model, [loss_of(model, BATCHES[0])], tolerance=tolerance, far=0.25)
    assert optimizer.near == near
    assert calls == (2 if near else 1)
    assert torch.allclose(taken, 0.25 * g, rtol=1e-12) == (not near)


@pytest.mark.parametrize("unit", [True, False], ids=["on the sphere", "wrong on purpose"])
def test_the_mean_over_directions_leads_to_a_smaller_trace(unit):
    """``y^2 (1 + x^2)/2`` at (1, 0), d = 2: rho^2/(2 d) grad tr H = rho^2/4 (2, 0); Gaussian vectors give d times it.

    One step has ``rho^2 z_y^2 (x + rho z_x)`` in x: mean rho^2/2, and a spread below rho^2 (1 + rho)/2.
    """
    rho, count = 0.5, 1000
    p, total = nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64)), torch.zeros(2, dtype=torch.float64)
    optimizer = SmoothedPerturbation([p], rho=rho, lr=0.0)
    if not unit:
        optimizer.direction = lambda g: optimizer._noise()
    for _ in range(count):
        optimizer.step(lambda: 0.5 * p[1] ** 2 * (1 + p[0] ** 2))
        total += p.grad
    error = abs(total[0].item() / count - rho**2 / 2)
    assert (error < 5 * rho**2 * (1 + rho) / 2 / count**0.5) == unit


def test_the_sign_of_the_sharpness_aware_one_in_closed_form():
    """``x^3/3 + x y`` from (1, 1): g = (2, 1), and h - g = (2 s r u_x + r^2 u_x^2 + s r u_y, s r u_x), u = g/|g|."""
    signs = []
    for seed in range(6):
        p = nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer = AwarePerturbation([p], rho=RHO, lr=1.0, seed=seed)
        _, s = optimizer.drawn(1)
        optimizer.step(lambda p=p: p[0] ** 3 / 3 + p[0] * p[1])
        g = torch.tensor([2.0, 1.0], dtype=torch.float64)
        u = g / 5**0.5
        shift = s * RHO * u
        h = torch.stack([(1 + shift[0]) ** 2 + 1 + shift[1], 1 + shift[0]])
        expected = 1 - (g + h - (h @ u) * u)
        torch.testing.assert_close(p.detach(), expected, rtol=1e-12, atol=1e-14)
        signs.append(s)
    assert set(signs) == {-1.0, 1.0}


def test_one_of_several_closures_makes_the_perturbation():
    """Each is drawn about as often; the gradient is that of all, in as many passes, and two more of the drawn one."""
    drawn, seen = [], []
    for seed in range(60):
        model, calls = network(), []
        optimizer = AwarePerturbation(model.parameters(), rho=RHO, lr=0.0, seed=seed)
        optimizer.step([lambda i=i, m=model, c=calls: c.append(i) or loss_of(m, BATCHES[i])() for i in range(3)])
        assert calls[:3] == [0, 1, 2]
        assert calls[3] == calls[4]
        assert len(calls) == 5
        drawn.append(calls[3])
        seen.append(optimizer.drawn(3)[0])  # of the next step
    counts = torch.bincount(torch.tensor(drawn))
    assert (counts - 20).abs().max() < 4 * (60 * 2 / 9) ** 0.5
    assert drawn != seen


@BOTH
def test_buffers_move_once_for_each_closure(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)).double()
    optimizer = kind(model.parameters(), rho=RHO, lr=0.1)
    optimizer.step([loss_of(model, batch) for batch in BATCHES[:3]])
    assert model[1].num_batches_tracked == 3


@BOTH
def test_the_same_in_halves_also_far_from_a_minimum(kind):
    """With a group that is not perturbed, whose parameters follow the plain gradient in both ways."""
    for tolerance in (1e-6, 10.0):
        ends = []
        for halves in (False, True):
            model = network()
            parameters = list(model.parameters())
            groups = [{"params": parameters[:2]}, {"params": parameters[2:], "rho": 0.0}]
            optimizer = kind(groups, rho=RHO, tolerance=tolerance, far=0.5, **SGD)
            for batch in BATCHES:
                if halves:
                    loss_of(model, batch)().backward()
                    optimizer.first_step()
                    loss_of(model, batch)().backward()
                    optimizer.second_step(zero_grad=True)
                else:
                    optimizer.step(loss_of(model, batch))
            ends.append(flat(model))
        assert torch.equal(*ends)
