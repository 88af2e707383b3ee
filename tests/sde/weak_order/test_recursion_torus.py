"""Slopes of recursions' SDEs without sampling, and the wrong SDEs that must fail; numbers measured with a prototype."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from eigensam.landscapes import TiltedTorus
from eigensam.sde import derive, verify_on_torus
from eigensam.sde.rules.sampling import GivenOrder, Reshuffled, SingleShuffle
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.plans import TorusPlan
from eigensam.sde.weak_order.printing import print_weak_order
from eigensam.sde.weak_order.recursion_torus_errors import RecursionTorus, Resolution
from eigensam.sde.weak_order.torus_checks import periodic_test_functions

from .trained import (
    HEAVY,
    HEAVY_SAM,
    HEAVY_USAM,
    INSIDE,
    LINE,
    LOOKAHEAD,
    NESTEROV,
    OUTSIDE,
    PLAIN_SAM,
    TWO,
    VASSO,
    derived,
    recursion,
    scaled,
)

FINE = Resolution(27, 5)
ETAS = [2.0**-k for k in (8, 10, 12)]
ORDER_2 = TorusPlan(expected=2)
TAU = 9  # of heavy ball with 9/10


def verified(sde, etas=None, plan=None, landscape=LINE, rho_scale=0.8):
    return verify_on_torus(sde, landscape, etas=etas, plan=plan, rho_scale=rho_scale)


def slope(sde, landscape=LINE, exponents=(10, 12), resolution=FINE, periods=1, **settings):
    """Without a verdict, so in a part of its time; of all starts, and of those from the mean of memory."""
    etas = [2.0**-k / periods for k in exponents]
    torus = RecursionTorus(
        Claim.checked(sde, landscape, etas, 0.8, None, 2.0), landscape, [0.5, 1.0], periodic_test_functions, **settings
    )
    found = [torus.compared(torus.claim, eta, resolution).difference for eta in etas]
    return [
        float(np.log(np.abs(found[0][:, group]).max() / np.abs(found[1][:, group]).max()) / np.log(etas[0] / etas[1]))
        for group in torus.groups
    ]


@pytest.mark.parametrize("text", [HEAVY, HEAVY_USAM, HEAVY_SAM])
def test_order_1_of_heavy_ball_is_the_memoryless_sde_at_the_effective_rate(text):
    sde = derived(text, 1, "1/2")
    assert slope(sde, exponents=(10, 12)) == pytest.approx([1, 1], abs=0.05)
    wrong = replace(sde, increments=scaled(sde.increments, "1/10"), covariance=scaled(sde.covariance, "1/10"))
    assert slope(wrong) == pytest.approx([0, 0], abs=0.05)


def test_the_verdict_of_order_1():
    result = verified(derived(HEAVY_SAM, 1, "1/2"))
    assert result.verdict == "pass"
    assert result.slope == pytest.approx(1, abs=0.05)


def test_order_2_of_momentum_sam_and_its_initial_layer():
    result = verified(derived(HEAVY_SAM))
    assert result.verdict == "pass"
    assert result.slope == pytest.approx(2, abs=0.05)
    assert all(term["change"] < 0.1 for term in result.details["visible"])
    slopes = {name: each[-1] for name, each in result.details["initial_layer"]["slopes"].items()}
    assert slopes.pop("position") == pytest.approx(1, abs=0.02)  # even with the right equation
    assert min(slopes.values()) >= 1.9  # of the slow variable, after the layer, and from the mean of memory
    printed = io.StringIO()
    print_weak_order(Console(file=printed, width=400), result, "trained", "2/3")
    assert "nodes of memory; over all steps the slow variable" in printed.getvalue()
    low, high = result.details["memory"]["m"]
    assert low < 0 < high < 26  # |m| <= max |h| / (1 - 9/10)
    assert result.plot().axes


@pytest.mark.parametrize(("text", "tau"), [(HEAVY, TAU), (HEAVY_USAM, TAU), (HEAVY_SAM, TAU), (NESTEROV, TAU * 9 / 10)])
def test_what_order_2_needs_with_memory(text, tau):
    sde = derived(text, 2, 1)
    whole = 1 / 2 + tau
    assert min(slope(sde)) >= 1.9
    for wrong in (
        replace(sde, correction=scaled(sde.correction, 1 / 2 / whole)),  # memoryless
        replace(sde, correction=scaled(sde.correction, (1 / 2 + tau / 2) / whole)),
        replace(sde, covariance={}),
    ):
        assert slope(wrong) == pytest.approx([1, 1], abs=0.05)
    assert slope(sde, shifted=False)[0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "change",
    [lambda sde: replace(sde, correction=scaled(sde.correction, "10/19")), lambda sde: replace(sde, covariance={})],
)
def test_verdicts_of_wrong_sdes(change):
    result = verified(change(derived(HEAVY, 2, 1)), ETAS, ORDER_2)
    assert result.verdict == "fail"
    assert result.slope == pytest.approx(1, abs=0.05)


def test_heavy_balls_mean_age_is_not_nesterovs():
    nesterov = derived(NESTEROV)
    wrong = replace(nesterov, correction=derived(HEAVY).correction)
    assert slope(wrong, exponents=(12, 14)) == pytest.approx([1, 1], abs=0.1)


def test_memory_in_the_perturbation():
    """VaSSO without normalisation: the noise of the perturbation is 1/9 of USAM's."""
    sde = derived(VASSO)
    assert verified(sde, rho_scale=0.3).verdict == "pass"
    assert min(slope(sde)) >= 1.9
    usam = derived("x = x - eta*grad(rho*g)")
    assert max(slope(replace(sde, increments=usam.increments))) < 0.8


def test_two_blocks_of_memory():
    sde = derived("q = 1/2*q + 1/2*g; m = 1/2*m + grad(rho*q); x = x - eta*m", 2, 1)
    assert min(slope(sde, exponents=(8, 10), resolution=Resolution(21, 4))) >= 1.9


def test_lookahead():
    sde = derive(recursion(LOOKAHEAD, inner_steps=2), 2, 1)
    result = verified(sde)
    assert result.verdict == "pass"
    assert result.details["initial_layer"] is None
    plain = derived("x = x - eta*g", 2, 1)
    for wrong in (replace(sde, correction=plain.correction), replace(sde, covariance={})):
        assert slope(wrong, periods=2, resolution=Resolution(27, 1)) == pytest.approx([1], abs=0.05)


@pytest.mark.parametrize(("batches", "landscape"), [(2, TWO), (3, LINE)])
def test_reshuffled_sam(batches, landscape):
    sde, independent = derived(PLAIN_SAM, 2, "2/3", Reshuffled(batches)), derived(PLAIN_SAM)
    settings = {"landscape": landscape, "periods": batches, "resolution": Resolution(31, 1), "exponents": (8, 10)}
    assert slope(sde, **settings)[0] >= 1.9
    for wrong in (
        replace(sde, correction=independent.correction, covariance=independent.covariance),
        replace(sde, covariance=independent.covariance),
        replace(sde, correction=independent.correction),
    ):
        assert slope(wrong, **settings) == pytest.approx([1], abs=0.05)


@pytest.mark.parametrize(("batches", "landscape"), [(2, TWO), (3, LINE)])
def test_reshuffled_sam_with_momentum(batches, landscape):
    sde, independent = derived(HEAVY_SAM, 2, 1, Reshuffled(batches)), derived(HEAVY_SAM, 2, 1)
    settings = {"landscape": landscape, "periods": batches, "resolution": Resolution(35, 5), "exponents": (8, 10)}
    assert min(slope(sde, **settings)) >= 1.9
    settings["exponents"] = (10, 12)
    for wrong in (
        replace(sde, correction=independent.correction, covariance=independent.covariance),
        replace(sde, covariance=independent.covariance),
    ):
        assert slope(wrong, **settings)[1] == pytest.approx(1, abs=0.05)  # from the mean: the remainder is smallest


@pytest.mark.parametrize("sampling", [SingleShuffle(3), GivenOrder(3)])
def test_other_orders_with_momentum(sampling):
    sde = derived(HEAVY, 2, 1, sampling)
    settings = {"periods": 3, "exponents": (8, 10)}
    assert min(slope(sde, **settings)) >= 1.9
    if sde.ordered:
        wrong = replace(sde, ordered={})
        assert slope(wrong, periods=3)[1] == pytest.approx(1, abs=0.1)


def test_reshuffling_in_two_dimensions_and_its_verdict():
    f = TiltedTorus.default(2)
    result = verified(derived("x = x - eta*g", 2, 1, Reshuffled(3)), [1 / 96, 1 / 192, 1 / 384], landscape=f)
    assert result.verdict == "pass"


def test_schedules_inside_and_outside_the_buffer():
    outside, inside = derived(OUTSIDE, 2, 1), derived(INSIDE, 2, 1)
    settings = {"resolution": Resolution(27, 4)}
    assert slope(outside, **settings)[0] == pytest.approx(2, abs=0.1)
    assert slope(inside, **settings)[0] == pytest.approx(2, abs=0.1)
    for wrong in (replace(outside, correction=inside.correction), replace(outside, correction={})):
        assert min(slope(wrong, exponents=(12, 14), **settings)) == pytest.approx(1, abs=0.1)


def test_momentum_reshuffling_and_a_schedule_together():
    sde, independent = derived(OUTSIDE, 2, 1, Reshuffled(2)), derived(OUTSIDE, 2, 1)
    settings = {"landscape": TWO, "resolution": Resolution(35, 4), "periods": 2}
    assert slope(sde, exponents=(8, 10), **settings)[0] >= 1.85
    assert slope(replace(sde, covariance=independent.covariance), exponents=(12, 14), **settings)[1] < 1.2
