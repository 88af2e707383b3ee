"""Truths: orders to two digits; one step by hand on a quadratic; moments of autoregressions; the wrong SDEs fail."""

import json
import re
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch

from eigensam.ground.errors import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde import derive, verify_one_step
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled, SingleShuffle
from eigensam.sde.weak_order.claim import Claim
from eigensam.sde.weak_order.invariant_quadrature import invariant_weights, nodes_of_box
from eigensam.sde.weak_order.one_step import polynomial_test_functions
from eigensam.sde.weak_order.plans import OneStepPlan
from eigensam.sde.weak_order.recursion_one_step import RecursionOneStep

from .trained import (
    FRICTION,
    HEAVY,
    HEAVY_SAM,
    INSIDE,
    LINE,
    LOOKAHEAD,
    MOMENTUM_SAM,
    NESTEROV,
    OUTSIDE,
    PLAIN_SAM,
    TWO,
    VASSO,
    derived,
    recursion,
    scaled,
)

SMALL = [2.0**-40, 2.0**-44, 2.0**-48]
POINT = torch.tensor([[1.4]], dtype=torch.float64)
ORDER_2 = OneStepPlan(expected=2)
FOUR = TiltedTorus([[1.2], [0.9], [1.5], [1.1]], [[1]], [[0.5], [-0.35], [0.6], [0.1]], [[0.0], [1.0], [2.2], [0.3]])


def verified(sde, landscape=LINE, plan=None):
    return verify_one_step(sde, landscape, POINT, etas=SMALL, plan=plan)


def local_slope(sde, landscape=LINE, **settings):
    """Without a verdict, so in a part of its time."""
    claim = Claim.checked(sde, landscape, [2.0**-28, 2.0**-32], 0.8, None, 2.0, smallest_rho=0.0)
    one = RecursionOneStep(claim, POINT, **settings)
    with mpmath.workdps(70):
        sides = [one.step(claim, one.points, eta, polynomial_test_functions) for eta in claim.etas]
        errors = [max(abs(v) for v in (chain - solution).flat) for chain, solution in sides]
        return float(mpmath.log(errors[0] / errors[1], 16))


@pytest.mark.parametrize(
    ("text", "beta", "without"),
    [
        (HEAVY, "2/3", 2),
        (HEAVY_SAM, "2/3", 2),
        (NESTEROV, "2/3", 2),
        (VASSO, "2/3", 8 / 3),  # its memory matters at rho only
        (MOMENTUM_SAM, 1, 2),
        (OUTSIDE, 1, 2),
        (INSIDE, "2/3", 2),
    ],
)
def test_memory_has_local_order_3_in_the_slow_variable_and_less_without_the_corrector(text, beta, without):
    assert local_slope(derived(text, 2, beta)) == pytest.approx(3, abs=0.01)
    assert local_slope(derived(text, 2, beta), corrected=False) == pytest.approx(without, abs=0.01)


@pytest.mark.parametrize("text", [HEAVY_SAM, VASSO])
def test_order_1(text):
    assert local_slope(derived(text, 1, "1/2")) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (FRICTION, {}),
        (LOOKAHEAD, {"inner_steps": 2}),
        ("m = 9/10*m + g; x = x - eta*m - eta/100*x", {}),
        ("m = 9/10*m + g + 1/100*x; x = x - eta*m", {}),
        ("x = x - eta*(grad(draw='a') + grad(draw='b'))/2", {"distinct": 3}),
        ("x = x - eta*grad(rho*unit(grad(draw='a')))", {}),
    ],
)
def test_decay_draws_and_slow_memory(text, settings):
    assert local_slope(derive(recursion(text, **settings), 2, "2/3")) == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(
    ("text", "sampling", "landscape"),
    [
        (PLAIN_SAM, Reshuffled(3), LINE),
        (HEAVY_SAM, Reshuffled(2), TWO),
        (HEAVY, Reshuffled(3, steps=2), LINE),
        (HEAVY, SingleShuffle(3), LINE),
        (HEAVY, GivenOrder(3), LINE),
        (HEAVY, Epochs(((0, 1), (2, 3))), FOUR),
    ],
)
def test_an_epoch_as_one_step(text, sampling, landscape):
    sde, independent = derived(text, 2, 1, sampling), derived(text, 2, 1)
    assert local_slope(sde, landscape) == pytest.approx(3, abs=0.02)
    parts = {part: getattr(independent, part) for part in ("increments", "correction", "covariance", "ordered")}
    assert local_slope(replace(sde, **parts), landscape) == pytest.approx(2, abs=0.02)


def test_the_verdict_of_momentum_sam_and_what_it_would_have_seen():
    result = verified(derived(HEAVY_SAM))
    assert result.verdict == "pass"
    assert result.slope == pytest.approx(3, abs=0.01)
    assert all(term["change"] < 1e-3 for term in result.details["visible"])
    assert json.loads(json.dumps(result.to_dict()))["precision"] == "multi"
    assert {d["name"] for d in result.details["divisors"]} == {"norm(g)"}
    assert result.plot().axes


@pytest.mark.parametrize(
    "change",
    [
        lambda sde: replace(sde, correction={}),
        lambda sde: replace(sde, correction=scaled(sde.correction, "1/19")),  # memoryless: -1/2
        lambda sde: replace(sde, correction=scaled(sde.correction, "10/19")),  # half of tau
        lambda sde: replace(sde, covariance={}),
    ],
)
def test_wrong_sdes_of_heavy_ball_fail(change):
    result = verified(change(derived(HEAVY, 2, 1)), plan=ORDER_2)
    assert result.verdict == "fail"
    assert result.slope == pytest.approx(2, abs=0.01)


def test_another_memorys_correction_fails():
    nesterov, heavy = (derived(text, 2, 1) for text in (NESTEROV, HEAVY))
    assert verified(nesterov).verdict == "pass"
    assert verified(replace(nesterov, correction=heavy.correction), plan=ORDER_2).verdict == "fail"


def test_schedules_inside_and_outside_the_buffer_differ():
    outside, inside = (derived(text, 2, 1) for text in (OUTSIDE, INSIDE))
    assert local_slope(replace(outside, correction=inside.correction)) == pytest.approx(2, abs=0.01)


def test_what_an_order_adds_is_needed():
    sde = derive(recursion("x = x - eta*g", sampling=GivenOrder(3)), 2, 1)
    result = verified(sde)
    assert result.verdict == "pass"
    assert "order of the minibatches" in {term["part"] for term in result.details["visible"]}
    assert verified(replace(sde, ordered={}), plan=ORDER_2).verdict == "fail"


def test_one_step_of_heavy_ball_by_hand():
    """``f = x^2``, memory at its mean ``10 f'(x)``: ``y+ = x - eps f' - 9 eps^2 f'' f'`` with ``eps = 10 eta``."""
    f = Quadratic([[2.0]], centres=[[0.0]])
    claim = Claim.checked(derived(HEAVY, 2, 1), f, [0.5, 0.25], 0.8, None, 2.0)
    one = RecursionOneStep(claim, torch.ones(1, 1, dtype=torch.float64))
    with mpmath.workdps(30):
        chain, solution = one.step(claim, one.points, 0.25, lambda y: y)
        assert float(chain[0, 0]) == pytest.approx(1 - 0.25 * 2 - 9 * 0.25**2 * 2 * 2, abs=1e-14)
        flow = float(mpmath.exp(-0.25 * (2 + 0.25 * 19 / 2 * 4)))
        assert float(solution[0, 0]) == pytest.approx(flow, abs=0.05)  # Runge-Kutta at a large step


def test_two_dimensions():
    f = TiltedTorus.default(2)
    sde = derive(recursion(HEAVY, sampling=Reshuffled(3)), 2, 1)
    claim = Claim.checked(sde, f, [2.0**-28, 2.0**-32], 0.8, None, 2.0, smallest_rho=0.0)
    one = RecursionOneStep(claim, torch.tensor([[1.4, -0.8]], dtype=torch.float64))
    with mpmath.workdps(60):
        sides = [one.step(claim, one.points, eta, polynomial_test_functions) for eta in claim.etas]
        errors = [max(abs(v) for v in (chain - solution).flat) for chain, solution in sides]
    assert float(mpmath.log(errors[0] / errors[1], 16)) == pytest.approx(3, abs=0.01)


def test_invariant_law_of_two_coupled_autoregressions():
    """``q+ = q/2 +- 1``, ``r+ = r/4 + q+``: second moments solve linear equations."""

    def moved(node):
        q, r = node
        return np.array([[q / 2 + s, r / 4 + q / 2 + s] for s in (1, -1)])

    with mpmath.workdps(30):
        nodes = nodes_of_box(mpmath.mpf(3), 2, 2)
        weights = invariant_weights(moved, nodes, 2)
        qq, qr, rr = (
            float(
                sum(w * (q if i else 1) ** i * (r if j else 1) ** j for w, (q, r) in zip(weights, nodes, strict=True))
            )
            for i, j in ((2, 0), (1, 1), (0, 2))
        )
    assert qq == pytest.approx(4 / 3)
    assert qr == pytest.approx(4 / 3 / (1 - 1 / 8))  # E q+ r+ = E (q/2 + s)^2 + E q r / 8
    assert rr == pytest.approx((4 / 3 + qr / 8 * 2) * 16 / 15)  # r+ = r/4 + q/2 + s, E (q/2 + s)^2 = 4/3


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: verified(derived(HEAVY, 2, 1), plan=OneStepPlan(precision="float64")), "is a recursion"),
        (
            lambda: verify_one_step(derived(HEAVY, 2, 1), TiltedTorus.random(4), etas=SMALL),
            "at most 3 coordinates",
        ),
        (
            lambda: verify_one_step(
                derive(recursion("q = q/2 + g; r = r/2 + q; m = 9/10*m + r; x = x - eta*m"), 2, 1),
                TiltedTorus.default(3),
                etas=SMALL,
            ),
            "memory of 9 components, whose invariant law takes 4^9 nodes",
        ),
        (
            lambda: verified(derive(recursion(HEAVY, sampling=Reshuffled(4)), 2, 1)),
            "draws from 4 minibatches, and the landscape has 3",
        ),
        (
            lambda: verify_one_step(
                derive(recursion("x = x - eta*grad(rho*unit(g))"), 2, "2/3"),
                Quadratic([[1.0]], centres=[[0.0]]),
                torch.zeros(1, 1, dtype=torch.float64),
                etas=SMALL,
            ),
            "away from 0",
        ),
    ],
)
def test_refusals(run, message):
    with pytest.raises(InputError, match=re.escape(message)):
        run()


def test_epochs_of_too_many_orders_are_refused():
    f = TiltedTorus.random(1, size=6, terms=1)
    with pytest.raises(InputError, match="720 orders, at most 120"):
        verify_one_step(derive(recursion(HEAVY, sampling=Reshuffled(6)), 2, 1), f, POINT, etas=SMALL)
