"""Every optimizer of the package, found by itself, and what its tests share: a small problem, a step, a look at it."""

import copy
import inspect
import pkgutil
from importlib import import_module

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.optim import SharpnessAwareOptimizer, TwoPassOptimizer, optimizers


def _found():
    for info in pkgutil.iter_modules(optimizers.__path__):
        module = import_module(f"{optimizers.__name__}.{info.name}")
        for value in vars(module).values():
            ours = isinstance(value, type) and issubclass(value, SharpnessAwareOptimizer)
            if ours and value.__module__ == module.__name__ and getattr(value, "__final__", False):
                yield value


KINDS = sorted(_found(), key=lambda kind: kind.__name__)
TWO_PASS = [kind for kind in KINDS if issubclass(kind, TwoPassOptimizer)]


def _name(kind):
    return kind.__name__


every_kind = pytest.mark.parametrize("kind", KINDS, ids=_name)
every_two_pass = pytest.mark.parametrize("kind", TWO_PASS, ids=_name)


def accepts(kind, name):
    """Whether the constructor has an argument of its own of this name."""
    return name in inspect.signature(kind).parameters


def make(kind, parameters, base=torch.optim.SGD, **options):
    """The optimizer; of the options of single methods it gets those that its class has."""
    special = {"refresh_every": 3, "alpha": 0.3, "check": False}  # so that there is an interval to be in the middle of
    chosen = {name: value for name, value in special.items() if accepts(kind, name)}
    return kind(parameters, base, **{"rho": 0.1, **chosen, **options})


DATA = torch.randn(10, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64), torch.arange(10) % 3


def network(*layers, dtype=torch.float64, bias=True, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(*(layers or (nn.Linear(4, 6, bias), nn.Tanh(), nn.Linear(6, 3, bias)))).to(dtype)


def loss_of(model, data=DATA, sign=1.0):
    """A closure. Its inputs have the model's dtype."""
    x = data[0].to(next(model.parameters()).dtype)
    return lambda: sign * cross_entropy(model(x), data[1])


def flat(model):
    parameters = model.parameters() if isinstance(model, nn.Module) else model
    return torch.cat(
        [torch.view_as_real(p).reshape(-1) if p.is_complex() else p.reshape(-1) for p in parameters]
    ).detach()


def trained(kind, steps=4, *layers, base=torch.optim.SGD, **options):
    """Parameters after some steps."""
    model = network(*layers)
    optimizer = make(kind, model.parameters(), base, **{"lr": 0.1, **options})
    for _ in range(steps):
        optimizer.step(loss_of(model))
    return flat(model)


def step_in_halves(optimizer, closure, **options):
    """One step with gradients that the loop makes itself; an eigenvector, where one is due, is asked for before."""
    if getattr(optimizer, "due", False):
        optimizer.refresh(closure)
    optimizer.zero_grad()
    closure().backward()
    optimizer.first_step(**options)
    closure().backward()
    optimizer.second_step(**options)


def snapshot(value):
    """A deep copy of anything that a state consists of, to be compared by ``same``."""
    return copy.deepcopy(value)


def same(a, b):
    """Bit for bit; NaN equals NaN."""
    if isinstance(a, torch.Tensor):
        both = isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape
        if both and a.is_sparse:
            a, b = a.to_dense(), b.to_dense()
        return both and bool(((a == b) | (a.isnan() & b.isnan())).all())
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (a != a and b != b)
