"""The measured orders of theory, section 4, and the wrong SDEs that must fail."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from eigensam.landscapes import TiltedTorus
from eigensam.sde import (
    RULES,
    derive,
    truncate,
    verify_on_torus,
)
from eigensam.sde.weak_order.claim import ETAS
from eigensam.sde.weak_order.plans import TorusPlan

from .changed import ETAS_FINE, SAM, THIRD, changed

VALUES = {"alpha": 0.2, "v": torch.tensor([1.0, 0.0], dtype=torch.float64)}


def values_of(rule, dim=2):
    given = {"alpha": 0.2, "v": VALUES["v"][:dim]}
    return {name: given[name] for name in (*rule.parameters, *rule.directions)}


@pytest.mark.parametrize(
    ("beta", "order", "slope"),
    [("1/3", 1, 1 / 3), ("1/3", 2, 2 / 3), ("1/3", 3, 1.0), ("1/2", 1, 0.5), ("1/2", 2, 1.0), ("1/2", 3, 1.0)],
)
def test_slopes_of_sam_on_the_two_dimensional_torus(beta, order, slope):
    result = verify_on_torus(truncate(SAM, beta, order))
    assert result.etas == [2.0**-k for k in range(4, 17, 2)]
    assert result.slopes[-1] == pytest.approx(slope, abs=0.05)
    assert result.expected == pytest.approx(slope)
    assert result.verdict == "pass"
    assert result.details["discretisation"] < 0.0175


def test_order_2_sde_of_sam():
    """New: at rho = c eta^(2/3) third-order drift, correction and covariance to rho have order 2."""
    result = verify_on_torus(derive(SAM, 2, "2/3"))
    assert result.slopes[-1] >= 1.9
    assert result.slopes[-1] == pytest.approx(2.0, abs=0.05)
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("part", "value", "order"),
    [
        ("correction_order", 0, 1),
        ("covariance_order", 0, 1),
        ("drift_order", 2, 4 / 3),
        ("correction_order", 1, 5 / 3),
        ("covariance_order", 1, 5 / 3),
    ],
)
def test_what_order_2_needs(part, value, order):
    """Without correction 1, without noise 1, and each power of rho less costs what the proof says."""
    orders = {"drift_order": 3, "correction_order": 2, "covariance_order": 2, part: value}
    result = verify_on_torus(truncate(SAM, "2/3", **orders), etas=ETAS[2:6])
    assert result.expected == pytest.approx(order)
    assert result.slopes[-1] == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize(
    ("part", "factors"),
    [
        ("correction", {0: -1, 1: -1}),
        ("covariance", {0: 2, 1: 2}),
        ("increments", {2: Fraction(1, 2)}),
    ],
)
def test_wrong_coefficients_of_order_2_fail(part, factors):
    result = verify_on_torus(changed(derive(SAM, 2, "2/3"), part, factors), etas=ETAS_FINE, plan=TorusPlan(expected=2))
    assert result.verdict == "fail"
    assert result.slopes[-1] < 1.85


def test_diffusion_does_not_matter_at_order_1():
    """Scaled by 2 it keeps the slope: at order 1 no verification can catch that."""
    assert verify_on_torus(changed(THIRD, "covariance", {0: 2, 1: 2, 2: 2})).verdict == "pass"


@pytest.mark.parametrize(
    ("factors", "beta", "falls_to"),
    [
        ({2: Fraction(1, 2)}, "1/3", 2 / 3),
        ({1: Fraction(1, 2)}, "1/2", 1 / 2),
        ({0: Fraction(1, 2)}, "1/3", 0.0),
        ({2: -1}, "1/3", 2 / 3),
    ],
)
def test_wrong_coefficients_fail(factors, beta, falls_to):
    wrong = changed(derive(SAM, 1, beta), "increments", factors)
    result = verify_on_torus(wrong, plan=TorusPlan(expected=1))
    assert result.verdict == "fail"
    assert result.slopes[-1] == pytest.approx(falls_to, abs=0.1)
    assert wrong.weak_order == pytest.approx(falls_to)  # the proof says so, too


def test_the_sde_of_another_rule_fails():
    wrong = replace(truncate(RULES["usam"], "1/3", 3), rule=SAM)
    assert verify_on_torus(wrong, plan=TorusPlan(expected=1)).verdict == "fail"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("order", [2, 3])
def test_every_rule_has_its_order(rule, order):
    result = verify_on_torus(
        truncate(rule, "1/3", order), etas=ETAS[3:], values=values_of(rule), plan=TorusPlan(resolution=17)
    )
    assert result.expected == pytest.approx(
        1 if rule.name == "sgd" or (rule.name == "egr" and order > 1) else order / 3
    )
    assert result.verdict == "pass", result.slopes


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_an_sde_of_order_2(rule):
    """In one dimension, where it is fast; two dimensions for SAM above."""
    f = TiltedTorus.default(1)
    result = verify_on_torus(derive(rule, 2, "2/3"), landscape=f, etas=ETAS_FINE, values=values_of(rule, 1))
    assert result.slopes[-1] == pytest.approx(2.0, abs=0.1), result.slopes


def test_noise_changes_the_constant_only():
    """Theory, section 3: gradient flow with the same drift has order 1 too, and is worse by a factor."""
    with_noise, without = (verify_on_torus(truncate(SAM, "1/3", 3, covariance_order=m)) for m in (3, 0))
    assert without.slopes[-1] == pytest.approx(1.0, abs=0.05)
    assert without.errors[-1] > 3 * with_noise.errors[-1]


def test_the_tolerance_separates_small_errors():
    """A second-order coefficient that is 0.2 % off is hardly seen at 2^-8 and 2^-10, and well at 2^-16."""
    result = verify_on_torus(changed(THIRD, "increments", {1: Fraction(998, 1000)}), plan=TorusPlan(expected=1))
    assert abs(result.slopes[2] - 1) < 0.2
    assert result.verdict == "fail"


def test_small_step_sizes():
    """2^-16 and order 2: sixty-five thousand steps, an error of 2e-10, three digits above rounding."""
    result = verify_on_torus(derive(SAM, 2, "2/3"), etas=[2.0**-12, 2.0**-14, 2.0**-16])
    assert result.slopes == pytest.approx([2.0, 2.0], abs=0.01)
    assert result.details["rounding"] < 0.0175 * result.errors[-1]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("order", "slope"), [(2, 2 / 3), (3, 1.0)])
def test_other_landscapes(seed, order, slope):
    f = TiltedTorus.random(2, size=2 + seed, seed=seed)
    result = verify_on_torus(truncate(SAM, "1/3", order), landscape=f, etas=ETAS_FINE)
    assert result.slope == pytest.approx(slope, abs=0.05)


def test_three_dimensions():
    f, etas = TiltedTorus.default(3), [2.0**-6, 2.0**-8, 2.0**-10]
    right = verify_on_torus(truncate(SAM, "1/2", 2), landscape=f, etas=etas, plan=TorusPlan(resolution=5))
    assert right.slope == pytest.approx(1, abs=0.05)
    wrong = verify_on_torus(truncate(SAM, "1/2", 1), landscape=f, etas=etas, plan=TorusPlan(resolution=5, expected=1))
    assert wrong.slope == pytest.approx(0.5, abs=0.06)
    assert wrong.verdict != "pass"
