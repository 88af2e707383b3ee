"""What tests of refusals share: a small run, and a call that must be refused on one line."""

import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.simulate import Engine, simulate

from .suite import vector

START = vector(0.5, -0.5)


def drift(t, x):
    return -x


def noise(t, x):
    return torch.stack([x.cos(), 0.1 * x], 1)


def diagonal(t, x):
    return torch.diag(x.cos())


def column(t, x):
    return x.cos()[:, None]


def run(problem=None, start=START, **settings):
    problem = SDEProblem(drift, noise) if problem is None else problem
    return simulate(problem, start, **{"dt": 0.1, "steps": 4, "paths": 20, "engine": Engine("eager"), **settings})


def sde(b=drift, g=noise, kind="general", **options):
    return SDEProblem(b, g, kind, **options)


def silent(t, x):
    raise ZeroDivisionError


def refused(call, match):
    with pytest.raises(InputError, match=match) as found:
        call()
    assert "\n" not in str(found.value)


BLOCKS = {"x": vector(1.0), "m": vector(0.0)}
