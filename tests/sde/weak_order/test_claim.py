"""The verdict's logic on errors that are made up."""

import math
import re

import pytest

from eigensam.landscapes import InputError, TiltedTorus
from eigensam.sde import derive, find_rule, truncate
from eigensam.sde.weak_order import observed_slopes
from eigensam.sde.weak_order.claim import Claim

F = TiltedTorus.default(1)
ETAS = [2.0**-k for k in range(4, 8)]


def claim(expected=1.0, etas=ETAS, **more):
    return Claim.checked(derive(find_rule("sam"), 1, "1/2"), F, etas, 0.8, None, expected, **more)


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ([1.0, 1.0, 1.0], "pass"),
        ([0.9, 0.95, 0.97], "pass"),
        ([0.7, 0.8, 0.96], "inconclusive"),  # on its way through, perhaps
        ([0.926, 0.98, math.nan], "inconclusive"),
        ([0.5, 0.5, 0.5], "fail"),
        ([1.5, 1.5, 1.5], "inconclusive"),  # better than claimed contradicts nothing
        ([1.227, 1.159, 1.145], "inconclusive"),  # exponents 1 and 1.1 compete
        ([0.9, 0.8, 0.7], "fail"),  # moves away
        ([0.6, 0.7, 0.8], "inconclusive"),  # on its way
        ([0.66, 0.667, 0.667], "fail"),  # settled elsewhere
    ],
)
def test_verdicts(slopes, verdict):
    errors = [1.0]
    for slope in slopes:
        errors.append(errors[-1] * 2**-slope)
    found = claim().found("torus", errors)
    assert found.verdict == verdict
    assert found.slope == pytest.approx(slopes[-1], nan_ok=True)
    assert found.slopes == pytest.approx(slopes, nan_ok=True)


def test_one_slope_can_pass_but_not_fail():
    two = claim(etas=ETAS[:2])
    assert two.found("torus", [1.0, 0.5]).verdict == "pass"
    found = two.found("torus", [1.0, 0.9])
    assert found.verdict == "inconclusive"
    assert "one alone does not show whether it has settled" in found.reason


def test_errors_below_the_last_one_do_not_count():
    found = claim().found("monte-carlo", [1.0, 0.5, 0.25, 0.2], last=2)
    assert found.slope == 1.0
    assert found.verdict == "pass"
    assert math.isnan(claim().found("monte-carlo", [1.0, 0.5, 0.25, 0.2], "noise", last=0).slope)


def test_doubt_is_inconclusive_whatever_the_slope():
    found = claim().found("torus", [1.0, 0.5, 0.25, 0.125], "too coarse")
    assert (found.verdict, found.reason) == ("inconclusive", "too coarse")


def test_the_expected_slope_is_the_proof():
    sam = find_rule("sam")
    assert Claim.checked(truncate(sam, "1/3", 2), F, ETAS, 0.8, None, None).expected == pytest.approx(2 / 3)
    assert Claim.checked(truncate(sam, "1/3", 2), F, ETAS, 0.8, None, None, local=True).expected == pytest.approx(5 / 3)
    assert Claim.checked(derive(sam, 2, "2/3"), F, ETAS, 0.8, None, None).tolerance == 0.1


def test_details_are_part_of_the_dictionary():
    found = claim().found("torus", [1.0, 0.5, 0.25, 0.125], resolution=17).to_dict()
    assert found["resolution"] == 17
    assert "details" not in found


def test_zero_errors_have_no_slope():
    assert all(math.isnan(s) for s in observed_slopes([0.5, 0.25, 0.125], [1.0, 0.0, 1.0]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expected": math.nan}, "expected order nan is not a number"),
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
