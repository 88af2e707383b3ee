"""Checks that a method of one's own must pass, too; wrong ones, made on purpose, have to fail them."""

import random

import numpy as np
import torch

from .kinds import flat, loss_of, make, network


def _twin(build, model):
    """As a model is now; some layers cannot be copied once they have been used."""
    twin = build()
    with torch.no_grad():
        for p, own in zip(twin.parameters(), model.parameters(), strict=True):
            p.copy_(own)
    for module, own in zip(twin.modules(), model.modules(), strict=True):
        module._buffers.update({name: None if b is None else b.clone() for name, b in own._buffers.items()})
    return twin


def check_buffers(kind, build, steps=3):
    """After each step buffers are what one plain pass, forward and backward, makes of them.

    The plain pass is made at the point that the method visits first.
    """
    model = build()
    optimizer = make(kind, model.parameters(), lr=0.1)
    for step in range(steps):
        twin = _twin(build, model)
        first = []

        def closure(twin=twin, first=first):
            if not first:
                first.append([p.detach().clone() for p in model.parameters()])
            return loss_of(model)()

        torch.manual_seed(step)
        optimizer.step(closure)
        with torch.no_grad():
            for p, there in zip(twin.parameters(), first[0], strict=True):
                p.copy_(there)
        torch.manual_seed(step)
        loss_of(twin)().backward()
        found = dict(model.named_buffers())
        assert found
        for name, truth in twin.named_buffers():
            assert torch.equal(found[name], truth), (name, step)


def check_restores(kind):
    """Where the base steps from the parameters are those that the step began with, bit for bit."""
    model = network()
    optimizer = make(kind, model.parameters(), lr=0.1)
    for _ in range(3):
        before, seen = flat(model), []
        handle = optimizer.register_after_backward_hook(lambda _, seen=seen: seen.append(flat(model)))
        optimizer.step(loss_of(model))
        handle.remove()
        assert torch.equal(seen[0], before)


def check_radius(kind):
    """The radius counts: two radii, two ways; and radius 0 is the base."""
    ends = []
    for rho in (0.0, 0.1, 0.2):
        model = network()
        optimizer = make(kind, model.parameters(), lr=0.1, rho=rho)
        for _ in range(3):
            optimizer.step(loss_of(model))
        ends.append(flat(model))
    twin = network()
    base = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(3):
        base.zero_grad()
        loss_of(twin)().backward()
        base.step()
    assert torch.equal(ends[0], flat(twin))
    assert not torch.allclose(ends[0], ends[1], rtol=1e-4)
    assert not torch.allclose(ends[1], ends[2], rtol=1e-4)


DRAWS = {
    "torch": lambda: torch.rand(4).tolist(),
    "numpy": lambda: np.random.rand(4).tolist(),  # noqa: NPY002
    "python": lambda: [random.random() for _ in range(4)],
    "dropout": lambda: torch.nn.functional.dropout(torch.ones(32), 0.5).tolist(),
}


def check_randomness(kind, source="torch"):
    """The closure draws the same numbers in every pass of a step, and others in the next step."""
    model, drawn = network(), []
    optimizer = make(kind, model.parameters(), lr=0.1)

    def closure():
        numbers = DRAWS[source]()
        drawn[-1].append(numbers)
        return loss_of(model)() * (1 + torch.tensor(numbers).mean().item())

    for _ in range(4):
        drawn.append([])
        optimizer.step(closure)
    assert all(numbers == step[0] for step in drawn for numbers in step)
    assert len({str(step[0]) for step in drawn}) == len(drawn)
