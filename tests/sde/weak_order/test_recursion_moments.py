"""Slopes of recursions' SDEs without sampling noise, and of what is wrong on purpose: memory, decay, draws."""

from dataclasses import replace
from fractions import Fraction

import pytest

from eigensam.sde.rules.sampling import Reshuffled
from eigensam.sde.rules.schedules import cosine

from .recursion_cases import (
    FINER,
    HEAVY_BALL,
    NESTEROV,
    SGD,
    TOLERANCE,
    USAM,
    USAM_BALL,
    derived,
    pulling,
    random_quadratic,
    slope,
    times,
)

LOOKAHEAD = (
    "y = x; x = x - eta*grad(draw='1'); x = x - eta*grad(draw='2'); x = x - eta*grad(draw='3'); x = y + (x - y)/4"
)
VASSO = "m = 9/10*m + 1/10*g; x = x - eta*grad(rho*m)"
FRICTION = "m = m + 2*eta*(-1*grad(rho*g) - m); x = x + eta*m"
ONE_BATCH = (
    "x = x - eta*(grad(rho*(grad(draw='a') + grad(draw='b'))/2, draw='a')"
    " + grad(rho*(grad(draw='a') + grad(draw='b'))/2, draw='b'))/2"
)
MICRO_BATCHES = "x = x - eta*(grad(rho*grad(draw='a'), draw='a') + grad(rho*grad(draw='b'), draw='b'))/2"
INDEPENDENT_ASCENT = "x = x - eta*grad(rho*grad(draw='a'))"
WHOLE = "m = 9/10*m + grad(rho*g) + 1/2*x; x = x - eta*s*m"
COSINE = {"s": cosine(2)}


def near(value):
    return pytest.approx(value, abs=TOLERANCE)


@pytest.mark.parametrize(("text", "beta"), [(HEAVY_BALL, 1), (USAM_BALL, 1), (USAM_BALL, "1/2")])
def test_heavy_ball_of_order_1(text, beta):
    sde = derived(text, 1, beta)
    assert slope(sde, pulling(), 1, FINER) == pytest.approx(1, abs=0.05)
    at_rate_eta = replace(sde, increments=times(sde.increments, Fraction(1, 10)))
    assert slope(at_rate_eta, pulling(), 1) == near(0)


@pytest.mark.parametrize(("text", "memoryless", "beta"), [(HEAVY_BALL, SGD, 1), (USAM_BALL, USAM, 1)])
def test_heavy_ball_of_order_2(text, memoryless, beta):
    sde, f = derived(text, 2, beta), pulling()
    assert slope(sde, f) == near(2)
    assert slope(sde, f, shifted=False) == near(1)
    assert slope(replace(sde, correction=derived(memoryless, 2, beta).correction), f) == near(1)
    assert slope(replace(sde, correction=times(sde.correction, Fraction(10, 19))), f) == near(1)  # half of tau
    assert slope(replace(sde, covariance={}), f) == near(1)


def test_powers_of_rho_in_the_corrector():
    """At ``rho = eta^(2/3)`` the slow variable needs ``rho`` itself: one power less costs an order of 5/3."""
    sde, f = derived(VASSO, 2, "2/3"), random_quadratic(2)
    assert slope(sde, f) > 1.9
    assert slope(sde, f, shifted=False) == pytest.approx(5 / 3, abs=0.05)
    assert slope(replace(sde, correction={0: sde.correction[0]}), f) == pytest.approx(5 / 3, abs=0.05)
    assert slope(derived(USAM_BALL, 2, "2/3"), f) > 1.9


def test_nesterov_and_heavy_ball():
    f = random_quadratic(2)
    ball, other = derived(HEAVY_BALL), derived(NESTEROV)
    assert slope(other, f) == near(2)
    assert slope(replace(other, correction=ball.correction), f, etas=FINER) == near(1)
    assert slope(replace(ball, correction=other.correction), f, etas=FINER) == near(1)


def test_decay():
    """With the same drift: decoupled decay does not go through the buffer."""
    f = pulling()
    decoupled = derived("m = 9/10*m + g; x = x - eta*m - 5*eta*x")
    coupled = derived("m = 9/10*m + g + 1/2*x; x = x - eta*m")
    assert slope(decoupled, f) == near(2)
    assert slope(coupled, f) == near(2)
    assert slope(replace(decoupled, correction=coupled.correction), f, etas=FINER) == near(1)
    assert slope(replace(coupled, correction=decoupled.correction), f, etas=FINER) == near(1)


def test_lookahead():
    """``T`` divided into cycles of three inner steps."""
    f, etas = pulling(3), (2.0**-8 / 3, 2.0**-10 / 3)
    sde, sgd = derived(LOOKAHEAD, inner_steps=3), derived(SGD)
    assert slope(sde, f, etas=etas) == near(2)
    assert slope(replace(sde, correction=sgd.correction), f, etas=etas) == near(1)
    assert slope(replace(sde, covariance=times(sgd.covariance, 2)), f, etas=etas) == near(1)  # at rate eta: 1/alpha = 4


def test_vasso():
    f = pulling()
    sde = derived(VASSO)
    assert slope(sde, f) == near(2)
    assert slope(replace(sde, increments=derived(USAM).increments), f) == near(1)
    assert slope(replace(sde, correction=derived(HEAVY_BALL).correction), f) == near(1)
    assert slope(replace(sde, covariance={}), f) == near(1)


def test_several_draws():
    f = pulling(3)
    one, micro, apart = (derived(text) for text in (ONE_BATCH, MICRO_BATCHES, INDEPENDENT_ASCENT))
    shared = derived(USAM)
    for sde in (one, micro, apart):
        assert slope(sde, f) == near(2)
    assert slope(replace(one, increments=micro.increments), f) == near(1)
    assert slope(replace(micro, covariance=shared.covariance), f) == near(1)
    assert slope(replace(apart, increments=shared.increments), f) == near(1)


def test_draws_without_replacement():
    f, sde, independent = pulling(), derived(ONE_BATCH, distinct=4), derived(ONE_BATCH)
    assert slope(sde, f) == near(2)
    assert slope(replace(sde, increments=independent.increments), f) == near(1)
    assert slope(replace(sde, covariance=independent.covariance), f) == near(1)


def test_friction_scaled():
    """Both blocks are slow: the SDE is one of position and velocity."""
    f, sde = pulling(), derived(FRICTION)
    assert sde.blocks == ("x", "m")
    assert slope(sde, f) == near(2)
    assert slope(replace(sde, correction={}), f) == near(1)
    assert slope(replace(sde, covariance={}), f) == near(1)
    assert slope(derived(FRICTION, 1), f, 1) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("text", [SGD + "; a = 9/10*a + 1/10*x", SGD + "; a = a + 3*eta*(x - a)"])
def test_averages_of_positions(text):
    """Fast ones feed nothing; slow ones are blocks of the SDE."""
    sde = derived(text)
    assert slope(sde, pulling()) == near(2)
    assert slope(replace(sde, correction={}), pulling()) == near(1)


def test_many_dimensions():
    sde = derived(USAM_BALL)
    assert slope(sde, random_quadratic(60), etas=(2.0**-9, 2.0**-10)) > 1.8
    whole = derived(WHOLE, schedules=COSINE, sampling=Reshuffled(3))
    assert slope(whole, random_quadratic(20), etas=(2.0**-8 / 3, 2.0**-10 / 3)) > 1.8
