"""The verdict's logic on errors that are made up: each purchase of a verdict, and why it is refused."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from eigensam.landscapes import TiltedTorus
from eigensam.sde import derive, find_rule, observed_slopes
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.evidence import Evidence
from eigensam.sde.weak_order.needed_terms import CHANGE, needed_terms
from eigensam.sde.weak_order.verdict import conclude

F = TiltedTorus.default(1)
ETAS = [2.0**-k for k in range(4, 8)]
SDE = derive(find_rule("sam"), 1, "1/2")


def claim(expected=1.0, etas=ETAS):
    return Claim.checked(SDE, F, etas, 0.8, None, expected)


def evidence(of, differences, **more):
    return Evidence.of(of, [np.atleast_1d(d) for d in differences], **more)


def concluded(of, differences, **more):
    return conclude("torus", [evidence(of, differences, **more)])


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
    found = concluded(claim(), errors)
    assert found.verdict == verdict
    assert found.slope == pytest.approx(slopes[-1], nan_ok=True)
    assert found.slopes == pytest.approx(slopes, nan_ok=True)


def test_one_slope_decides_nothing():
    """Nor do three step sizes that are one."""
    for errors in ([1.0, 0.5], [1.0, 0.9]):
        found = concluded(claim(etas=ETAS[:2]), errors)
        assert found.verdict == "inconclusive"
        assert "one alone does not show whether it has settled" in found.reason
    close = [1 / 512, 1 / 513, 1 / 514]
    found = concluded(claim(etas=close), close)
    assert found.slope == pytest.approx(1)
    assert "the last three step sizes differ by a factor of 1 only" in found.reason


def test_a_tenth_less_than_half_the_claim_fails():
    """Slopes of an order-1 SDE against a claim of 2 come near 1, not 2."""
    etas = np.array([2.0**-k for k in range(3, 7)])
    errors = etas * (1 - 1.6 * etas)
    found = concluded(claim(2.0, etas), errors)
    assert found.slope == pytest.approx(0.96, abs=0.02)
    assert found.verdict == "fail"


def mixed(etas, wrong, right=1.0):
    """Two functions of the start: a wrong term of order 2/3 against a right one of order 1."""
    x = np.linspace(0, 1, 50)
    return [wrong * eta ** (2 / 3) * (1 + x) - right * eta * (2 + np.cos(3 * x)) for eta in etas]


def test_terms_that_cancel_do_not_pass():
    """The largest error falls like eta for a while; the errors as functions do not."""
    etas = [2.0**-k for k in range(3, 10)]
    found = [(w, concluded(claim(etas=etas), mixed(etas, w))) for w in np.arange(0.1, 2, 0.01)]
    assert any(abs(result.slope - 1) < 0.02 for _, result in found)
    assert all(result.verdict != "pass" for _, result in found)
    near = [result.reason for _, result in found if abs(result.slope - 1) < 0.02]
    assert all("terms of other orders cancel" in reason or "has not settled" in reason for reason in near)
    wrong = 0.1
    small = [2.0**-k for k in range(20, 37, 4)]
    assert concluded(claim(etas=small), mixed(small, wrong)).verdict == "fail"
    assert concluded(claim(etas=small), mixed(small, 0.0)).verdict == "pass"


def test_a_term_that_is_not_seen_does_not_pass():
    of, errors = claim(), [1.0, 0.5, 0.25, 0.125]
    zero, first = needed_terms(SDE, of.order)
    assert (str(first), first.order) == ("rho^1 of the drift", Fraction(1, 2))
    moved = 0.125 * (2**0.05 - 1)  # by as much as one number may by chance
    seen = 2 * moved / (1 - 2**-0.5)  # twice that
    found = concluded(of, errors, influences={zero: 1.0, first: 1.01 * seen})
    assert found.verdict == "pass"
    assert found.details["visible"][1]["change"] == pytest.approx(float(CHANGE) / 1.01, rel=1e-6)
    blind = concluded(of, errors, influences={zero: 1.0, first: 0.5 * seen})
    assert blind.verdict == "inconclusive"
    assert "rho^1 of the drift, without which the order is 1/2, could be wrong by 20.0% of itself" in blind.reason
    without = concluded(of, errors, influences={zero: 1.0, first: 0.0})
    assert "has no influence at all" in without.reason
    assert json.loads(json.dumps(without.to_dict()))["visible"][1]["change"] is None
    both = [evidence(of, errors, influences={zero: 1.0, first: share * seen}) for share in (0.5, 1.01)]
    assert conclude("torus", both).verdict == "pass"  # a mistake that one law shows does not pass


def test_a_term_nearer_than_the_tolerance():
    """rho^2 costs order 0.98, which no slope tells from 1."""
    sde = derive(find_rule("sam"), 1, "49/100")
    of = Claim.checked(sde, F, ETAS, 0.8, None, None)
    found = concluded(of, [1.0, 0.5, 0.25, 0.125], influences=dict.fromkeys(needed_terms(sde, 1.0), 1e3))
    assert found.verdict == "inconclusive"
    assert "rho^2 of the drift, without which the order is 49/50, is nearer than the tolerance" in found.reason


def test_an_order_that_has_not_begun_does_not_fail():
    """Where the expectations themselves do not converge yet, errors that do not fall refute nothing."""
    chains = [np.array([(-1.0) ** k]) for k in range(4)]
    errors = [1.0, 1.0, 1.0, 1.0]
    assert concluded(claim(), errors).verdict == "fail"
    found = concluded(claim(), errors, chains=chains)
    assert found.verdict == "inconclusive"
    assert "the expectations themselves do not converge yet" in found.reason
    assert concluded(claim(), errors, solutions=chains).verdict == "inconclusive"
    settled = [np.array([1 + 2.0**-k]) for k in range(4)]
    assert concluded(claim(), errors, chains=settled).verdict == "fail"


def test_every_law_of_rho_counts():
    of, good, bad = claim(), [1.0, 0.5, 0.25, 0.125], [1.0, 0.7, 0.5, 0.35]
    other = replace(of, rho_scale=1.0)
    for second, verdict in ((good, "pass"), (bad, "fail"), (np.array(good) ** 2, "inconclusive")):
        found = conclude("torus", [evidence(of, good), evidence(other, second)])
        assert found.verdict == verdict
        assert found.reason.startswith("at rho scale 1: ") == (verdict != "pass")
        assert [law["rho_scale"] for law in found.details["laws"]] == [0.8, 1.0]
        assert found.details["measured"][1].startswith("rho scale 1, eta 0.0625 to 0.00781: slope")


def test_errors_below_the_last_one_do_not_count():
    errors = [1.0, 0.5, 0.25, 0.2]
    found = conclude("monte-carlo", [evidence(claim(), errors).upto(3)], etas=ETAS, errors=errors)
    assert (found.slope, found.verdict, found.errors, found.etas) == (1.0, "pass", errors, ETAS)
    none = conclude("monte-carlo", [evidence(claim(), errors, doubt="noise").upto(1)], etas=ETAS, errors=errors)
    assert math.isnan(none.slope)
    assert (none.verdict, none.reason) == ("inconclusive", "noise")


def test_doubt_is_inconclusive_whatever_the_slope():
    found = concluded(claim(), [1.0, 0.5, 0.25, 0.125], doubt="too coarse")
    assert (found.verdict, found.reason) == ("inconclusive", "too coarse")


def test_details_are_part_of_the_dictionary():
    found = conclude("torus", [evidence(claim(), [1.0, 0.5, 0.25, 0.125])], resolution=17).to_dict()
    assert found["resolution"] == 17
    assert "details" not in found


def test_zero_errors_have_no_slope():
    assert all(math.isnan(s) for s in observed_slopes([0.5, 0.25, 0.125], [1.0, 0.0, 1.0]))
