"""What the torus method cannot tell, and verdicts that a wrong SDE must not buy."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import (
    RULES,
    TOLERANCE,
    derive,
    drift_and_covariance,
    find_rule,
    truncate,
    verify_on_torus,
    verify_one_step,
)
from eigensam.sde.weak_order.plans import OneStepPlan, TorusPlan

from .changed import SAM, THIRD, changed


def test_too_coarse_a_grid_is_inconclusive():
    assert verify_on_torus(truncate(SAM, "1/2", 3), plan=TorusPlan(resolution=3)).verdict == "inconclusive"


def test_a_slope_above_the_claim_does_not_pass():
    """A claim is confirmed, not only reached: the third-order SDE is better than 2/3, which refutes nothing."""
    result = verify_on_torus(THIRD, plan=TorusPlan(expected=2 / 3))
    assert result.slope > result.expected + TOLERANCE
    assert result.verdict == "inconclusive"
    assert "better than the expected 0.667" in result.reason


def test_memory_that_does_not_suffice():
    """Sharp ripples and little memory: the largest grid that fits is too coarse, and the verdict says by how much."""
    f = TiltedTorus([[9.0, 1.0]], [[16, 1], [1, 0]], [[0.3, 0.3]], [[0.0, 0.5]])
    result = verify_on_torus(
        truncate(RULES["usam"], "1/2", 2),
        landscape=f,
        etas=[1 / 8, 1 / 16, 1 / 32],
        plan=TorusPlan(horizon=1 / 8, memory=1e8),
    )
    assert result.verdict == "inconclusive"
    assert re.search(r"still changes by .* of itself at resolution \d+; the next grid needs .* GiB", result.reason)


def test_the_bound_of_rounding_holds():
    """At rho^0 and one minibatch without ripples rule and SDE are the same shift: all that is left is rounding."""
    f = TiltedTorus([[1.0, 0.3]], [[1, 0]], [[0.0]], [[0.0]])
    result = verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f, etas=[2.0**-k for k in (4, 8, 12)])
    assert result.verdict == "inconclusive"
    assert "not far above rounding" in result.reason
    assert max(result.errors) <= result.details["rounding"]


def test_a_slope_on_its_way_is_not_a_failure():
    """At large step sizes the right SDE's slope is 0.9 and moves to 1: inconclusive, not fail; nor with one slope."""
    result = verify_on_torus(THIRD, etas=[1 / 4, 1 / 8, 1 / 16])
    assert result.verdict == "inconclusive"
    assert "it still moves towards 1.000" in result.reason
    short = verify_on_torus(THIRD, etas=[2.0**-15, 2.0**-16])
    assert short.verdict == "inconclusive"
    assert "one alone does not show whether it has settled" in short.reason


def tenth_more(f, sde, x, rho, eta, values):
    """SAM's third-order coefficient times 1.1: order 2/3."""
    return drift_and_covariance(f, changed(sde, "increments", {2: Fraction(11, 10)}), x, rho, eta, values)


def test_a_window_in_which_two_terms_cancel():
    """From 2^-3 to 2^-9 the slope is 1.002; the errors as functions, and smaller step sizes, say why."""
    wrong = verify_on_torus(THIRD, plan=TorusPlan(coefficients=tenth_more))
    assert wrong.verdict == "fail"
    assert wrong.slope == pytest.approx(0.661, abs=0.01)
    window = verify_on_torus(THIRD, etas=[2.0**-k for k in range(3, 10)], plan=TorusPlan(coefficients=tenth_more))
    assert window.slope == pytest.approx(1.002, abs=0.002)
    assert window.verdict != "pass"
    assert window.details["laws"][0]["verdict"] == "inconclusive"
    assert "terms of other orders cancel" in window.details["laws"][0]["reason"]
    right = verify_on_torus(THIRD)
    assert right.verdict == "pass"
    assert [law["rho_scale"] for law in right.details["laws"]] == [0.8, 1.0]
    assert max(v["change"] for v in right.details["visible"]) < 0.05


@pytest.mark.parametrize("scale", [1e-4, 1e-3])
def test_a_radius_so_small_that_nothing_is_seen(scale):
    wrong = verify_on_torus(
        truncate(SAM, "1/3", 2), landscape=TiltedTorus.default(1), rho_scale=scale, plan=TorusPlan(expected=1)
    )
    assert wrong.slope == pytest.approx(1, abs=0.05)
    assert wrong.verdict == "inconclusive"
    assert "rho^2 of the drift, without which the order is 2/3, could be wrong by" in wrong.reason


def test_a_radius_so_large_that_nothing_has_begun():
    """The right SDE: it must not fail, and where its coefficients explode it is refused."""
    one = TiltedTorus.default(1)
    assert verify_on_torus(THIRD, landscape=one, rho_scale=3.0).verdict != "fail"
    assert verify_on_torus(THIRD, landscape=one, rho_scale=3.0, etas=[1 / 4, 1 / 8, 1 / 16]).verdict != "fail"
    with pytest.raises(InputError, match="at most 1e\\+05 are computed: give a shorter T, a smaller rho scale"):
        verify_on_torus(THIRD, landscape=one, rho_scale=300.0)


def test_test_functions_that_do_not_feel_the_wrong_term():
    """The second coordinate has its own minibatch gradients, which the perturbation does not enter."""
    f = TiltedTorus([[1.5, 1.0], [1.2, 0.8]], [[1, 0]], [[0.4], [0.3]], [[0.0], [1.0]])
    usam = truncate(RULES["usam"], "1/3", 3, covariance_order=0)  # whose error they see
    result = verify_on_torus(
        usam, landscape=f, plan=TorusPlan(test_functions=lambda x: torch.stack([x[:, 1].sin(), x[:, 1].cos()], 1))
    )
    assert result.verdict == "inconclusive"
    assert "has no influence at all" in result.reason


def test_a_landscape_on_which_the_wrong_term_vanishes():
    """On a quadratic there is no third derivative, and SAM's SDE without rho^2 has the order of the whole one."""
    f = Quadratic([[2.0, 0.5], [0.5, 1.0]], centres=[[0.0, 0.0], [1.0, 1.0]])
    result = verify_one_step(truncate(SAM, "1/3", 2), landscape=f, plan=OneStepPlan(expected=1))
    assert result.slope == pytest.approx(2, abs=0.01)
    assert result.verdict == "inconclusive"
    assert "rho^2 of the drift, without which the order is 2/3, has no influence at all" in result.reason


def test_coefficients_that_are_right_at_one_scale_alone():
    """rho^2 written as 0.64 eta^(2/3): at the scale of 0.8 nobody can tell."""

    def written(f, sde, x, rho, eta, values):
        less = replace(sde, increments={k: c for k, c in sde.increments.items() if k < 2})
        only = replace(sde, increments={2: sde.increments[2]})
        b, sigma = drift_and_covariance(f, less, x, rho, eta, values)
        return b + drift_and_covariance(f, only, x, 0.8 * eta ** (1 / 3), eta, values)[0], sigma

    result = verify_on_torus(THIRD, landscape=TiltedTorus.default(1), plan=TorusPlan(coefficients=written))
    assert result.slope == pytest.approx(1, abs=0.05)
    assert [law["verdict"] for law in result.details["laws"]] == ["pass", "fail"]
    assert result.verdict == "fail"
    assert result.reason.startswith("at rho scale 1: ")


@pytest.mark.parametrize("scale", [2.0, 2.5])
def test_a_right_sde_that_explodes_at_large_steps_does_not_fail(scale):
    """The rule's own expectations are tame there, the SDE's are not; with smaller steps both settle."""
    f = TiltedTorus.random(1, size=5, terms=1, highest_frequency=3, seed=689)
    sde = derive(RULES["usam"], 1, "1/4")
    large = verify_on_torus(
        sde, landscape=f, rho_scale=scale, etas=[1 / 4, 1 / 8, 1 / 16], plan=TorusPlan(resolution=25)
    )
    assert large.verdict == "inconclusive"
    assert any("the expectations themselves do not converge yet" in law["reason"] for law in large.details["laws"])
