"""The exponential moments that the inequalities rest on are at most 1: summed over all samples, no slack hides."""

import itertools

import mpmath
import pytest

from eigensam.bounds import PAC_BAYES, CatoniGrid, GibbsSample

from .exponents import (
    EXPONENTS,
    bernstein,
    catoni,
    half_square,
    kl,
    log_xi,
    of_kl,
    of_variance,
    pinsker,
    root,
    unexpected,
)
from .laws import Outcome, bernoulli, mean_exponential, mpf

ROUNDING = mpf(10) ** -30
LAWS = [
    *((n, bernoulli(p)) for n, p in itertools.product((2, 9, 60), ("0.001", "0.1", "0.5", "0.97"))),
    (10, {"0": "", "0.3": "0.3", "1": "0.1"}),
    (10, {"0": "", "0.5": "0.05", "1": "0.9"}),
    (14, {"0.2": "", "0.9": "0.1"}),
]


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(40):
        yield


def largest(exponent, laws=LAWS):
    """The largest mean of its exponential."""
    return max(mean_exponential(n, law, exponent) for n, law in laws)


def test_every_inequality_has_its_exponents():
    assert EXPONENTS.keys() == PAC_BAYES.keys()


@pytest.mark.parametrize("name", PAC_BAYES)
@pytest.mark.parametrize("guess", [(0.02, 3.0, 1000), (0.3, 0.5, 50)])
def test_moments(name, guess):
    """Each exponent's is at most 1, and their shares of delta add up to at most delta."""
    kind = PAC_BAYES[name].fixed_for(*guess, 0.05)
    parts = EXPONENTS[name](kind)
    assert sum(share for share, _ in parts) <= 1 + ROUNDING
    assert all(largest(exponent) <= 1 + ROUNDING for _, exponent in parts[:: max(1, len(parts) // 6)])


@pytest.mark.parametrize("n", [2, 5, 9, 40])
@pytest.mark.parametrize("p", ["0.001", "0.2", "0.5", "0.99"])
def test_moments_that_are_known(n, p):
    """``E exp(n kl(r || p)) = xi(n)`` and Catoni's mean 1, exactly, for losses of 0 and 1, whatever the risk."""
    law = bernoulli(p)
    assert abs(mean_exponential(n, law, lambda o: o.n * kl(o.r, o.risk)) / mpmath.exp(log_xi(n)) - 1) < ROUNDING
    for c in ("0.01", "1", "30"):
        assert abs(mean_exponential(n, law, catoni(c)) - 1) < ROUNDING
        assert abs(mean_exponential(n, law, unexpected(c)) - 1) < ROUNDING


def test_relaxations_lie_below_the_relative_entropy():
    """For ``r < p``: what is nothing random in their proofs."""
    points = [mpf(i) / 40 for i in range(41)]
    for r, p in itertools.combinations(points, 2):
        for distance in (half_square, pinsker, root):
            assert distance(r, p) <= kl(r, p) + ROUNDING
        assert root(r, p) <= half_square(r, p) + ROUNDING


def _wrong():
    def whole(o):  # sup over C of Catoni's exponent
        return o.n * kl(o.r, o.risk) if o.r < o.risk else mpf(0)

    def best_of_grid(o):
        return max(catoni(c)(o) for c in CatoniGrid(least=0.1, largest=3.0, points=4).rates())

    return {
        "C chosen after the sample without a union": whole,
        "delta spent whole at each point of a grid": best_of_grid,
        "xi(n - 1) for xi(n)": lambda o: o.n * kl(o.r, o.risk) - log_xi(o.n - 1),
        "2 kl": lambda o: 2 * of_kl(kl)(o),
        "1/10 for Hoeffding's 1/8": lambda o: o.n * ((o.risk - o.r) / 2 - mpf(1) / 40),
        "a^2/2 for e^a - 1 - a": lambda o: bernstein(2)(o) + o.n * (mpmath.exp(2) - 5) * o.variance,
        "half of the variance's price": lambda o: of_variance(1)(o) + (o.n - 1) * 0.15 * o.variance,
        "eta^2/2 for C - eta": lambda o: o.n * (-mpmath.log(1 - o.risk / 2) - o.r / 2 - o.m / 8),
        "Catoni's a linear": lambda o: o.n * (o.risk - o.r),
    }


@pytest.mark.parametrize("name", _wrong())
def test_wrong_exponents_are_caught(name):
    """Wrong on purpose: each has a mean above 1 for some law."""
    assert largest(_wrong()[name]) > 1 + 1e-6


CASES = [
    (0.02, 3.0, 1000, 0.05),
    (0.0, 0.0, 40, 0.01),
    (0.3, 10.0, 300, 0.2),
    (0.6, 1.0, 1500, 0.05),
    (0.0, 7.0, 900, 0.5),
]


@pytest.mark.parametrize("name", [name for name in PAC_BAYES if name != "empirical-bernstein"])
@pytest.mark.parametrize("case", CASES)
def test_upper_is_where_the_exponent_reaches_its_budget(name, case):
    """At R = upper the best exponent is KL + ln(share/delta), to rounding and never below it."""
    r, divergence, n, delta = case
    for kind in (PAC_BAYES[name](), PAC_BAYES[name].fixed_for(r + 0.01, divergence, n, delta)):
        risk = kind.upper(GibbsSample(r, divergence, n), delta)
        if risk == 1:
            continue
        outcome = Outcome(n, mpf(r), mpf(r), mpf(0), mpf(risk), mpf(0))
        excess = max(
            exponent(outcome) - mpf(divergence) - mpmath.log(1 / (share * mpf(delta)))
            for share, exponent in EXPONENTS[name](kind)
        )
        assert 0 <= excess < 1e-11, excess


@pytest.mark.parametrize("case", CASES)
def test_both_exponents_of_the_empirical_bernstein_inequality_reach_theirs(case):
    """First the variance is where its exponent reaches the budget (or 1/4), then the risk."""
    r, divergence, n, delta = case
    kind = PAC_BAYES["empirical-bernstein"].fixed_for(r + 0.01, divergence, n, delta)
    risk = kind.upper(GibbsSample(r, divergence, n), delta)
    if risk == 1:
        return
    budget = mpf(divergence) + mpmath.log(2 * kind.points / mpf(delta))
    v = (mpf(1) / 4 if r > 0.5 else mpf(r) * (1 - mpf(r))) * n / (n - 1)

    def best(exponent, **known):
        outcome = Outcome(**{"n": n, "r": mpf(r), "m": mpf(r), "v": v, "risk": mpf(0), "variance": mpf(0)} | known)
        return max(exponent(a)(outcome) for a in kind.rates()) - budget

    low, high = mpf(0), mpf(1) / 4
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if best(of_variance, variance=middle) < 0 else (low, middle)
    assert 0 <= best(bernstein, risk=mpf(risk), variance=high) < 1e-11


def test_a_smaller_second_moment_counts():
    """The exponent of the unexpected Bernstein inequality at m < r."""
    kind = PAC_BAYES["unexpected-bernstein"]()
    risk = kind.upper(GibbsSample(0.1, 2.0, 500, second_moment=0.03), 0.05)
    outcome = Outcome(500, mpf(0.1), mpf(0.03), mpf(0), mpf(risk), mpf(0))
    excess = max(unexpected(c)(outcome) for c in kind.rates()) - 2 - mpmath.log(kind.points / mpf(0.05))
    assert 0 <= excess < 1e-11
