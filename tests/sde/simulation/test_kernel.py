"""Steps of a kernel: each with its own time and numbers, in calls of any size."""

import pytest
import torch

from eigensam.sde.simulation.kernels.draws import Draws, key_of
from eigensam.sde.simulation.kernels.kernel import Clock, Kernel

KEY = key_of(3, torch.device("cpu"))
PATH = torch.arange(7, 12)
CLOCK = Clock(0.25, 1.0)


def kernel(draws):
    """Its state: the sum of times, of increments, and of signs, each with a factor that doubles from step to step."""

    def step(t, total, w, s, *drawn):
        noise, signs = drawn[: draws.noise_dim], drawn[draws.noise_dim :]
        return 2 * total + t, 2 * w + sum(noise), 2 * s + sum(signs)

    return Kernel(step, draws, CLOCK, draws.group)


def expected(draws, first, count):
    """Of numbers that are drawn step by step, in another order of operations."""
    size, zero = draws.group_steps, torch.zeros(len(PATH), dtype=draws.dtype)
    total = w = s = zero
    for k in range(first, first + count):
        draw = draws.group(KEY, PATH, torch.tensor(k // size))[k % size]
        total = 2 * total + CLOCK.t0 + k * CLOCK.h
        w = 2 * w + sum(draw.increments, zero)
        s = 2 * s + sum(draw.signs, zero)
    return torch.stack([total, w, s])


ALL = [
    Draws(law, dim, signs, dtype)
    for law in ("normal", "three-point", "two-point")
    for dim, signs in ((0, 0), (1, 0), (3, 3), (4, 0))
    for dtype in (torch.float32, torch.float64)
]


@pytest.mark.parametrize("draws", ALL, ids=str)
def test_calls_of_any_size_give_the_same_bits(draws):
    own, size = kernel(draws), draws.group_steps
    first, count = 3 * size, 6 * size
    start = torch.zeros(3, len(PATH), dtype=draws.dtype)
    found = []
    for groups in (6, 3, 2, 1, 0):
        states, taken = start, groups * size or 1
        move = own.moves(groups) if groups else own.moves_once()
        for step in range(first, first + count, taken):
            states = move(KEY, torch.tensor(step), PATH, states)
        found.append(states)
    assert all(torch.equal(each, found[0]) for each in found)
    torch.testing.assert_close(found[0], expected(draws, first, count))


def test_a_step_moves_as_a_vector_where_it_depends_on_no_path():
    """A component that is a number, or is handed on, has one value for each path all the same."""
    draws = Draws("normal", 1, 0, torch.float32)
    own = Kernel(lambda t, x, y, w: (t, x), draws, Clock(0.5), draws.group)
    found = own.moves_once()(KEY, torch.tensor(2), PATH, torch.ones(2, len(PATH)))
    assert found.tolist() == [[1.0] * 5, [1.0] * 5]


def test_times_do_not_add_up():
    """In double precision from the number of the step: after 2^30 steps of 0.1 the time is right to the last bit."""
    clock = Clock(0.1, 7.0)
    assert clock.time(torch.tensor(2**30), torch.float64).item() == 0.1 * 2**30 + 7.0
    assert clock.time(torch.tensor(2**30), torch.float32).dtype == torch.float32
