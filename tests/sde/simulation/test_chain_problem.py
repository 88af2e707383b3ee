"""Chains of one's own: what they are given, what they hand on, and what is refused."""

import pytest
import torch

from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.problems.chain_problem import ChainProblem
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.simulate import Engine, simulate

from .refusals import BLOCKS, START, refused

EAGER = Engine("eager")


def run(chain, start=START, **settings):
    return simulate(chain, start, **{"dt": 0.1, "steps": 4, "paths": 20, "engine": EAGER, **settings})


def test_numbers_are_those_of_an_sde():
    """``sqrt(dt)`` times them are its increments: Euler's scheme is a chain."""
    drift, noise = (lambda t, x: t - x.sin()), (lambda t, x: torch.stack([x.cos(), 0.1 * x], 1))
    chain = ChainProblem(lambda t, x, z: x + 0.1 * drift(t, x) + noise(t, x) @ (z * 0.1**0.5), 2, t0=1.0)
    record = Record(every=1, trajectories=20)
    found, expected = run(chain, record=record), run(SDEProblem(drift, noise, t0=1.0), record=record)
    torch.testing.assert_close(found.trajectories, expected.trajectories, rtol=1e-14, atol=1e-14)
    assert found.times.tolist() == expected.times.tolist()


def test_blocks_and_a_memory():
    """A memory that counts steps, and blocks of which each must be given."""

    def step(t, s, z, memory):
        return {"x": s["x"] + s["m"], "m": s["m"] + memory[:1]}, memory + torch.arange(1, 3, dtype=memory.dtype)

    found = run(ChainProblem(step, 1, memory=[0, 5]), BLOCKS, record=Record(every=1, trajectories=1))
    assert found.final["m"][0].tolist() == [0 + 1 + 2 + 3]
    assert found.trajectories["x"][0, :, 0].tolist() == [1, 1, 1, 2, 5]
    assert found.labels["x"] == ["x", "m"]


def test_steps_in_batches():
    """What has no code in components."""
    chain = ChainProblem(lambda t, x, z, used: (x.sort().values + 0.1 * z, used + 1), 2, memory=[0.0])
    found = run(chain)
    assert "points in batches" in found.how
    assert found.final.shape == (20, 2)


def test_no_numbers():
    found = run(ChainProblem(lambda t, x, z: x / 2, 0))
    assert found.final[3].tolist() == (START / 16).tolist()


def chain(step, m=1, **options):
    return ChainProblem(step, m, **options)


BAD = {
    "no function": (lambda: chain(1.0), "the step is of type float; give a function of t, x and z"),
    "numbers": (lambda: chain(lambda t, x, z: x, -1), "noise_dim = -1; give a whole number of at least 0"),
    "time": (lambda: chain(lambda t, x, z: x, dt=-0.1), "dt = -0.1; give a positive number, or None"),
    "memory": (lambda: chain(lambda t, x, z: x, memory="a"), "memory = 'a'; give a list of numbers"),
    "memory nan": (lambda: chain(lambda t, x, z: x, memory=[torch.nan]), "memory = nan; give a finite number"),
    "substeps": (lambda: chain(lambda t, x, z: x, substeps=10**6), "substeps = 1000000; give a whole number from 1"),
    "shape": (lambda: chain(lambda t, x, z: x[:1]), r"the step gives shape \(1,\) at one point; expected \(2,\)"),
    "type": (lambda: chain(lambda t, x, z: x.float()), "the step gives torch.float32 on cpu for a start of .*float64"),
    "a number": (lambda: chain(lambda t, x, z: 1.0), "the step gives float; expected a tensor"),
    "infinite": (lambda: chain(lambda t, x, z: x / 0), "the step is not finite at the start"),
    "in place": (lambda: chain(lambda t, x, z: x.add_(1)), "the step changes the point that it is given"),
    "chance": (lambda: chain(lambda t, x, z: x + torch.rand(())), "it may depend on t, x and z alone"),
    "failure": (
        lambda: chain(lambda t, x: x),
        r"the step fails at the start \(TypeError: .*one point of shape \(2,\) and numbers of shape \(1,\)",
    ),
    "course": (lambda: chain(lambda t, x, z: x if x[0] > 0 else -x), r"cannot be recorded \("),
    "no memory": (
        lambda: chain(lambda t, x, z, used: x.sum(), memory=[0.0]),
        "the step gives Tensor; with a memory it gives a pair",
    ),
    "another memory": (
        lambda: chain(lambda t, x, z, used: (x, x), memory=[0.0]),
        r"the step gives a memory of shape \(2,\); expected \(1,\)",
    ),
    "a memory that is a number": (
        lambda: chain(lambda t, x, z, used: (x, 0.0), memory=[0.0]),
        "the step gives a memory of shape float",
    ),
    "types that hide": (
        lambda: chain(lambda t, x, z, used: (x.float(), used), memory=[0.0]),
        "the step gives torch.float32 and a memory of torch.float64",
    ),
    "shapes that fit together": (
        lambda: chain(lambda t, x, z, used: (torch.cat([x, x]), used[:0]), memory=[0.0, 0.0]),
        "the step gives a memory of shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_chains(name):
    make, match = BAD[name]
    refused(lambda: run(make()), match)


def test_a_block_that_is_left_out():
    """It would be 0, and a drift that is left out is."""
    refused(lambda: run(chain(lambda t, s, z: {"x": s["x"]}), BLOCKS), "the step gives no block m; give all")


def test_another_kind_of_problem():
    refused(lambda: run("sgd"), "problem is of type str; expected SDEProblem")
