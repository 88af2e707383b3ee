"""What is checked before anything is measured."""

import math
import re

import pytest

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus
from eigensam.sde import ETAS as DEFAULT
from eigensam.sde import derive, find_rule, truncate, verify_on_torus
from eigensam.sde.weak_order.claim import Claim, visible_etas

F = TiltedTorus.default(1)
ETAS = [2.0**-k for k in range(4, 8)]


def claim(expected=1.0, etas=ETAS, **more):
    return Claim.checked(derive(find_rule("sam"), 1, "1/2"), F, etas, 0.8, None, expected, **more)


def test_the_expected_slope_is_the_proof():
    sam = find_rule("sam")
    assert Claim.checked(truncate(sam, "1/3", 2), F, ETAS, 0.8, None, None).expected == pytest.approx(2 / 3)
    of_one_step = Claim.checked(truncate(sam, "1/3", 2), F, ETAS, 0.8, None, None).of_one_step()
    assert of_one_step.expected == pytest.approx(5 / 3)
    assert of_one_step.order == pytest.approx(2 / 3)
    assert Claim.checked(derive(sam, 2, "2/3"), F, ETAS, 0.8, None, None).tolerance == 0.1


def test_another_scale():
    other = claim().at_another_scale()
    assert (other.rho_scale, other.etas) == (pytest.approx(1.0), tuple(ETAS[-3:]))
    assert other.tolerance == pytest.approx(0.075)
    sgd = Claim.checked(derive(find_rule("sgd"), 1, 1), F, ETAS, 0.8, None, None)
    assert sgd.at_another_scale() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expected": math.nan}, "expected order nan is not a number"),
        ({"expected": 0.0}, "expected order 0 is no claim: an SDE that does not converge has order 0"),
        ({"expected": 2.1}, "expected order 2.1 is no claim"),
        ({"etas": [math.nan, 0.1]}, "must be at least two and decreasing"),
        ({"etas": [math.inf, 0.1]}, "must be positive and finite"),
        ({"etas": [0.1, 0.0]}, "must be positive and finite"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        claim(**arguments)


def test_a_radius_that_overflows():
    with pytest.raises(InputError, match="runs from inf to nan; the perturbation radius rho must stay within"):
        Claim.checked(derive(find_rule("sgd"), 1, 3), F, [1e200, 1e100], 0.8, None, None)


def test_default_step_sizes_are_those_whose_radius_is_seen():
    """At ``beta = 3/2`` the smallest would have been refused, though nobody had given them."""
    sde = derive(find_rule("sam"), 1, "3/2")
    kept = visible_etas(sde, DEFAULT, 0.8)
    assert 2 < len(kept) < len(DEFAULT)
    assert list(kept) == list(DEFAULT[: len(kept)])
    assert 0.8 * kept[-1] ** 1.5 >= 1e-6 > 0.8 * DEFAULT[len(kept)] ** 1.5
    assert visible_etas(sde, DEFAULT, 1e-9) == DEFAULT  # too few: the claim says why
    assert verify_on_torus(sde, landscape=F).verdict == "pass"
