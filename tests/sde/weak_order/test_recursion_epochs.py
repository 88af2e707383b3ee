"""Slopes of recursions' SDEs with epochs and schedules, and of what is wrong on purpose."""

from dataclasses import replace

import pytest

from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule, cosine

from .recursion_cases import (
    FINER,
    HEAVY_BALL,
    SGD,
    TOLERANCE,
    USAM,
    derived,
    pulling,
    random_quadratic,
    slope,
    without_pairs,
    without_rates,
)

WHOLE = "m = 9/10*m + grad(rho*g) + 1/2*x; x = x - eta*s*m"
COSINE = {"s": cosine(2)}


def near(value):
    return pytest.approx(value, abs=TOLERANCE)


@pytest.mark.parametrize("law", [Reshuffled(4), SingleShuffle(4)], ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("text", [SGD, HEAVY_BALL])
def test_shuffled_epochs(law, text):
    f, sde, plain = pulling(), derived(text, sampling=law), derived(text)
    assert not sde.covariance
    assert slope(sde, f) == near(2)
    assert slope(sde, f, inside=True) == near(2)
    assert slope(replace(sde, correction=plain.correction, covariance=plain.covariance), f) == near(1)
    assert slope(replace(sde, covariance=plain.covariance), f) == near(1)
    assert slope(replace(sde, correction=plain.correction), f) == near(1)


@pytest.mark.parametrize(
    "text",
    [
        "m = 3/4*m + grad(-3/4*eta*m); x = x - eta*m",  # Nesterov as published
        "x = x - eta*m; m = 3/4*m + g",
        "m = 1/2*m + g; x = x - eta*m; x = x - eta*g",
        "m = 1/2*m + g - 1/2*mean(g); x = x - eta*m",
    ],
)
@pytest.mark.parametrize("law", [Reshuffled(4, steps=2), GivenOrder(4)], ids=lambda law: type(law).__name__)
def test_memory_that_the_step_reads_in_its_gradient(text, law):
    f, sde = pulling(), derived(text, sampling=law)
    assert slope(sde, f) == near(2)
    wrong = {"ordered": {}} if sde.ordered else {"correction": derived(text).correction}
    assert slope(replace(sde, **wrong), f) < 1.3


@pytest.mark.parametrize("text", [SGD, USAM, HEAVY_BALL])
def test_given_order(text):
    f, sde = pulling(), derived(text, sampling=GivenOrder(4))
    assert slope(sde, f) == near(2)
    assert slope(sde, f, 1, inside=True) == near(1)
    assert slope(replace(sde, ordered={}), f) == near(1)


def test_epochs_that_leave_minibatches_out():
    f, sde = pulling(), derived(SGD, sampling=Reshuffled(4, steps=3))
    settings = {"etas": (2.0**-6 / 3, 2.0**-8 / 3)}
    assert slope(sde, f, **settings) == near(2)
    assert slope(sde, f, inside=True, **settings) == near(2)
    assert slope(replace(sde, covariance={}), f, **settings) == near(1)
    assert slope(replace(sde, covariance=derived(SGD).covariance), f, **settings) == near(1)
    full = derived(SGD, sampling=Reshuffled(4))
    assert slope(replace(sde, correction=full.correction), f, **settings) == near(1)


def test_a_list_of_epochs():
    f, sde = pulling(), derived(SGD, sampling=Epochs(((0, 1), (2, 3))))
    assert slope(sde, f) == near(2)
    assert slope(replace(sde, ordered={}), f) == near(1)
    assert slope(replace(sde, covariance={}), f) == near(1)


def test_an_epoch_written_out():
    """Three distinct draws of a step are one epoch: the same chain, and an SDE without the epochs' formula."""
    text = "; ".join(HEAVY_BALL.replace("g;", f"grad(draw='{k}');") for k in (1, 2, 3))
    written, epochs = derived(text, distinct=3, inner_steps=3), derived(HEAVY_BALL, sampling=Reshuffled(3))
    etas = (2.0**-9 / 3, 2.0**-11 / 3)
    found = [slope(sde, pulling(3), etas=etas) for sde in (written, epochs)]
    assert found[0] == near(2)
    assert found[0] == pytest.approx(found[1], abs=1e-6)


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_schedules(where):
    """A growing rate; half as long a memory, so that ``s'/2`` shows beside it."""
    texts = {"outside": "m = 1/2*m + g; x = x - eta*s*m", "inside": "m = 1/2*m + s*g; x = x - eta*m"}
    found = {name: derived(text, schedules=COSINE) for name, text in texts.items()}
    right, other = found.pop(where), next(iter(found.values()))
    f = random_quadratic(2)
    assert slope(right, f) == near(2)
    assert slope(without_rates(right), f) == near(1)
    assert slope(replace(right, correction=other.correction), f) == near(1)


def test_a_scheduled_radius():
    sde, f = derived("x = x - eta*grad(rho*r*g)", schedules={"r": Schedule("(3 + sin(5*t))/2")}), pulling()
    assert slope(sde, f) == near(2)
    ball = derived("m = 9/10*m + grad(rho*r*g); x = x - eta*m", beta="2/3", schedules={"r": Schedule("1/(1 + t)")})
    assert slope(ball, f) > 1.9


def test_everything_together():
    """Momentum 0.9, decay, a cosine and reshuffling; without any one of them in the SDE the order is 1."""
    f = pulling(scale=30.0)
    sde = derived(WHOLE, schedules=COSINE, sampling=Reshuffled(4))
    coarse, fine = slope(sde, f, etas=(2.0**-6, 2.0**-8)), slope(sde, f)
    assert coarse < fine + 0.02
    assert fine == near(2)
    bare = derived(WHOLE.replace(" + 1/2*x", ""), schedules=COSINE, sampling=Reshuffled(4))
    memoryless = derived("x = x - eta*s*(grad(rho*g) + 1/2*x)", schedules=COSINE, sampling=Reshuffled(4))
    noisy = derived(WHOLE, schedules=COSINE)
    for wrong in (
        without_rates(sde),
        without_pairs(sde),
        replace(sde, correction=bare.correction),
        replace(sde, correction=memoryless.correction),
        replace(sde, covariance=noisy.covariance),
        replace(sde, increments={0: sde.increments[0]}),
    ):
        assert slope(wrong, f, etas=FINER) == near(1)
    assert slope(sde, f, shifted=False) == near(1)
