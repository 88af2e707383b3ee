"""Rules that divide by what vanishes somewhere on a torus: refused before any step."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus
from eigensam.sde import (
    RULES,
    Rule,
    drift_and_covariance,
    truncate,
    verify_on_torus,
)
from eigensam.sde.rules import direction, grad, inner, rho
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.torus import periodic_test_functions
from eigensam.sde.weak_order.torus_errors import TorusErrors
from eigensam.sde.weak_order.torus_steps import Steps

from .changed import SAM

QUIET = Steps(lambda done, total: None, 1)


def test_a_rule_without_values():
    """Its norm vanishes on the torus, where the direction is orthogonal to the gradient."""
    singular = Rule("nan", grad(rho * grad() / inner(grad(), direction("v")) ** Fraction(1, 2)))
    with pytest.raises(InputError, match=r"rule 'nan' needs inner\(g, v\) away from 0, which changes sign"):
        verify_on_torus(truncate(singular, "1/2", 2), values={"v": torch.tensor([0.0, 1.0], dtype=torch.float64)})


UNTILTED = TiltedTorus(
    tilts=[[0.3, 0.0], [0.2, 0.1]],
    frequencies=[[1, 0], [0, 1]],
    amplitudes=[[0.5, 0.4], [0.6, 0.5]],
    phases=[[0.0, 1.0], [0.5, 2.0]],
)


def test_a_vanishing_gradient():
    """SGD and USAM do not mind; SAM divides by |g|, which is zero between grid points: refused before any step."""
    usam = verify_on_torus(truncate(RULES["usam"], "1/2", 2), landscape=UNTILTED)
    assert usam.verdict == "pass", usam.reason
    seen = []
    with pytest.raises(InputError, match=r"needs norm\(g\) away from 0, which is 0\.\d+ at x = .* of minibatch 2"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=UNTILTED, progress=lambda *each: seen.append(each))
    assert len(seen) == 1  # at the start


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_without_tilts_every_dimension_is_refused(dim):
    f = TiltedTorus(np.zeros((2, dim)), np.eye(dim, dtype=int), np.full((2, dim), 0.5), np.full((2, dim), 0.3))
    with pytest.raises(InputError, match=r"give tilts that exceed the ripples .*gradient_floor > 0.*critical point"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=f)


def test_a_zero_in_the_middle_of_a_cell_of_three_dimensions():
    """|g| is 0 half-way between grid points and larger than its change along each axis: the axes together tell."""
    spacing = 2 * math.pi / 13
    tilt, phase = math.sin(spacing / 4), 3 * spacing / 4
    f = TiltedTorus([[tilt] * 3], np.eye(3, dtype=int).tolist(), [[-1.0] * 3], [[-phase] * 3])
    zero = torch.full((3,), spacing / 2, dtype=torch.float64)
    assert f.gradient(zero).abs().max() < 1e-12
    with pytest.raises(InputError, match=r"which is 0\.\d+ at x = .*: it vanishes nearby, or cannot be told from zero"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=f)
    floor = TiltedTorus.default(3)
    claim = Claim.checked(truncate(SAM, "1/2", 2), floor, [1 / 8, 1 / 16], 0.8, None, None)
    assert TorusErrors(claim, floor, [1.0], periodic_test_functions, drift_and_covariance, QUIET).may_vanish(13) == ""


def test_a_gradient_that_vanishes_on_the_grid():
    at_zero = TiltedTorus([[0.0, 0.0]], [[1, 0], [0, 1]], [[1.0, 1.0]], [[0.0, 0.0]])
    with pytest.raises(InputError, match=r"rule 'sam' needs norm\(g\) away from 0, which falls to 0 among the points"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=at_zero)
