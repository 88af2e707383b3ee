"""What would make a bound 1, put back into the bound."""

from dataclasses import replace

import pytest

from eigensam.bounds import Curvature, Form, eigenvalue_bound
from eigensam.bounds.eigenvalue.inputs import check_inputs
from eigensam.bounds.eigenvalue.repairs import repairs

CASE = {"dim": 5000, "squared_distance": 20.0, "examples": 1437}


def problem(curvature, loss=0.05, **changes):
    given = check_inputs(loss, curvature, *(CASE | changes).values(), 0.05, 1.0, None)
    return given.problems([Form("eigenvalue", "K_4")])[0]


def bound(curvature, loss=0.05, **changes):
    return eigenvalue_bound(loss, curvature, **(CASE | changes), form=Form("eigenvalue", "K_4")).bound


def test_each_repair_makes_it_one():
    curvature = Curvature(0.2, fourth_derivative=0.3)
    found = repairs(problem(curvature))
    assert bound(curvature) > 1
    assert bound(curvature, examples=round(found.examples)) == pytest.approx(1, abs=1e-3)
    assert bound(curvature, squared_distance=found.distance**2) == pytest.approx(1, abs=1e-5)
    flatter = Curvature(0.2 * found.curvature, fourth_derivative=0.3 * found.curvature)
    assert bound(flatter) == pytest.approx(1, abs=1e-5)
    assert bound(replace(flatter, top_eigenvalue=0.2)) > 1.01  # wrong on purpose: the remainder alone


def test_nothing_helps_a_loss_of_one():
    found = repairs(problem(Curvature(0.2, fourth_derivative=0.3), loss=1.0))
    assert (found.examples, found.distance, found.curvature) == (None, None, None)


def test_at_the_prior_there_is_no_way_to_shorten():
    found = repairs(problem(Curvature(0.2, fourth_derivative=0.3), examples=8, squared_distance=0.0))
    assert found.distance is None
