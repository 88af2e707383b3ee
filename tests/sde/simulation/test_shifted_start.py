"""Where SDEs of recursions start: shifted at order 2, where the training starts at order 1."""

import math

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic
from eigensam.sde import derive
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.statements import parse_statements
from eigensam.sde.simulation.problems.shifted_start import sde_start, shifted_start

F = Quadratic([[2.0]], centres=[[0.0]])
ONE = torch.ones(1, dtype=torch.float64)
ETA = 0.01


def of(text, order):
    return derive(Recursion("r", parse_statements(text)), order, 1)


def test_an_sde_of_order_1_starts_where_the_training_does():
    heavy_ball = "m = 1/2*m + g; x = x - eta*m"
    assert sde_start(of(heavy_ball, 1), F, ONE, ETA, 0.0).item() == 1.0
    # chi = 2 f' - m, with f' = 2 at 1
    assert sde_start(of(heavy_ball, 2), F, ONE, ETA, 0.0).item() == pytest.approx(1 + 4 * ETA)
    resting = {"m": 4 * ONE}  # the mean of memory there: nothing is ahead or behind
    assert sde_start(of(heavy_ball, 2), F, ONE, ETA, 0.0, memory=resting).item() == pytest.approx(1.0)


def test_it_is_what_the_training_lacks():
    """Heavy ball from rest, twenty steps: the flow from the shifted start is near, that from where it began is not."""
    x, m = 1.0, 0.0
    for _ in range(20):
        m = m / 2 + 2 * x
        x -= ETA * m
    eps = 2 * ETA
    decay = math.exp(-2 * (1 + 3 / 2 * eps * 2) * 20 * eps)  # of the flow, with b_1 = -3/2 f'' f'
    shifted = sde_start(of("m = 1/2*m + g; x = x - eta*m", 2), F, ONE, ETA, 0.0).item()
    assert abs(decay * shifted - x) < abs(decay - x) / 5


def test_memory_that_is_not_the_recursion_s():
    with pytest.raises(InputError, match="does not average over n; its fast blocks are m"):
        shifted_start(of("m = 1/2*m + g; x = x - eta*m", 2), F, ONE, ETA, 0.0, memory={"n": ONE})
