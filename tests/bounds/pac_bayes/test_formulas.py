"""Each formula against 50 digits: never below, at most a few units of rounding above; wrong ones are noticed."""

import math
import random
from functools import cache

import mpmath
import pytest

from eigensam.bounds import PAC_BAYES, GibbsSample

from .exponents import kl

mpf, ln, exp, sqrt = mpmath.mpf, mpmath.log, mpmath.exp, mpmath.sqrt


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(50):
        yield


@cache
def log_xi(n):
    """As 1 + Ramanujan's Q(n) = 1 + sum_i prod_(l<i) (1 - l/n): for many examples, and not from the definition."""
    with mpmath.workdps(60):
        total, term = mpf(2), mpf(1)
        for i in range(1, n):
            term = term * (n - i) / n
            total += term
            if term < mpf(10) ** -60:
                break
        return ln(total)


def cost_of_kl(g, delta):
    return (g.kl + log_xi(g.examples) + ln(1 / delta)) / g.examples


def maurer(kind, g, delta):
    """By bisection."""
    low, high = mpf(g.risk), mpf(1)
    for _ in range(160):
        middle = (low + high) / 2
        low, high = (middle, high) if kl(mpf(g.risk), middle) < cost_of_kl(g, delta) else (low, middle)
    return high


def quadratic(kind, g, delta):
    eps = cost_of_kl(g, delta) / 2
    return (sqrt(g.risk + eps) + sqrt(eps)) ** 2


def best_lambda(kind, g, delta):
    """Of the best lambda, exactly."""
    cost = cost_of_kl(g, delta)
    rate = 2 / (sqrt(2 * g.risk / cost + 1) + 1)
    return g.risk / (1 - rate / 2) + cost / (rate * (1 - rate / 2))


def tolstikhin_seldin(kind, g, delta):
    eps = cost_of_kl(g, delta)
    return g.risk + sqrt(2 * g.risk * eps) + 2 * eps


def mcallester(kind, g, delta):
    return g.risk + sqrt((g.kl + log_xi(g.examples) - ln(delta)) / (2 * g.examples))


def catoni_at(c, g, delta, ways=1):
    return (1 - exp(-c * g.risk - (g.kl + ln(ways / delta)) / g.examples)) / (1 - exp(-c))


def catoni(kind, g, delta):
    return catoni_at(mpf(kind.c), g, delta)


def catoni_grid(kind, g, delta):
    return min(catoni_at(mpf(c), g, delta, kind.points) for c in kind.rates())


def alquier(kind, g, delta):
    s = mpf(kind.s)
    return g.risk + (g.kl + ln(1 / delta)) / (s * g.examples) + s / 8


def unexpected_bernstein(kind, g, delta):
    cost = (g.kl + ln(kind.points / delta)) / g.examples
    etas = [(mpf(c), 1 - exp(-mpf(c))) for c in kind.rates()]
    return min((1 - exp(-eta * g.risk - (c - eta) * g.second_moment - cost)) / eta for c, eta in etas)


def empirical_bernstein(kind, g, delta, *, less_one=None, spent_twice=False):
    """``less_one`` is ``n - 1``; delta may be spent twice, wrongly."""
    c = g.kl + ln((1 if spent_twice else 2) * kind.points / delta)
    n, less_one = g.examples, g.examples - 1 if less_one is None else less_one
    v = (g.second_moment * (1 - g.second_moment) if g.second_moment <= 0.5 else mpf(1) / 4) * n / less_one
    rates = [mpf(a) for a in kind.rates()]
    variance = mpf(1) / 4
    for a in rates:
        b = 2 * a / (a + sqrt(a * a + 4))
        variance = min(variance, v / (1 - b / 2) + c / (less_one * b * (1 - b / 2)))
    return min(g.risk + variance * (exp(a) - 1 - a) / a + c / (n * a) for a in rates)


FORMULAS = {
    "maurer": maurer,
    "quadratic": quadratic,
    "lambda": best_lambda,
    "tolstikhin-seldin": tolstikhin_seldin,
    "mcallester": mcallester,
    "catoni": catoni,
    "catoni-grid": catoni_grid,
    "alquier": alquier,
    "empirical-bernstein": empirical_bernstein,
    "unexpected-bernstein": unexpected_bernstein,
}


def cases(count):
    rng = random.Random(0)
    for _ in range(count):
        r = rng.choice([0.0, rng.random(), 10 ** rng.uniform(-9, -1), 10 ** rng.uniform(-300, -1)])
        n = round(10 ** rng.uniform(0.5, 6))
        sample = GibbsSample(
            r, rng.choice([0.0, 10 ** rng.uniform(-9, 3)]), n, rng.choice([None, r * rng.random(), min(1.0, 2 * r)])
        )
        yield sample, 10 ** rng.uniform(-6, -0.01)


def exact(g):
    """The same numbers in many digits."""
    return GibbsLike(
        mpf(g.risk), mpf(g.kl), g.examples, mpf(g.risk if g.second_moment is None else min(g.risk, g.second_moment))
    )


class GibbsLike:
    def __init__(self, risk, kl, examples, second_moment):
        self.risk, self.kl, self.examples, self.second_moment = risk, kl, examples, second_moment


def agrees(found, truth, g):
    """Whether ``found`` is the formula's value, rounded outward and cut to [risk, 1]: never below, hardly above."""
    truth = min(mpf(1), max(truth, mpf(g.risk)))
    return truth <= found <= truth * (1 + mpf(2) ** -50)


@pytest.mark.parametrize("name", PAC_BAYES)
def test_formula(name):
    told = 0
    for g, delta in cases(60 if name == "maurer" else 120):
        if g.examples < PAC_BAYES[name].least_examples:
            continue
        for kind in (PAC_BAYES[name](), PAC_BAYES[name].fixed_for(g.risk / 2 + 0.001, g.kl * 1.2, g.examples, delta)):
            found = kind.upper(g, delta)
            truth = FORMULAS[name](kind, exact(g), mpf(delta))
            assert agrees(found, truth, g), (g, delta, kind)
            assert found == 1 or not agrees(math.nextafter(found, 0) * (1 - 2**-49), truth, g)
            told += found < 1
    assert told > 30


@pytest.mark.parametrize("name", PAC_BAYES)
def test_rounding_inward_is_caught(name):
    """Wrong on purpose: the value rounded to the nearest float, or the float before it, is below the truth."""
    nearest = before = 0
    for g, delta in cases(60):
        kind = PAC_BAYES[name]()
        found = kind.upper(g, delta) if g.examples >= kind.least_examples else 1.0
        if g.risk < found < 1:
            truth = FORMULAS[name](kind, exact(g), mpf(delta))
            nearest += not agrees(float(truth), truth, g)
            before += not agrees(found * (1 - 2**-49), truth, g)
    assert nearest >= 5
    assert before >= 15


def _parenthesis(kind, g, delta):
    return g.risk + sqrt((g.kl + (log_xi(g.examples) - ln(delta)) / (2 * g.examples)) / g.examples)


def _divided_first(kind, g, delta):
    return g.risk + sqrt(cost_of_kl(g, delta) / 4)


WRONG = {
    "mcallester: the logarithm alone divided": ("mcallester", _parenthesis),
    "mcallester: 4n for 2n": ("mcallester", _divided_first),
    "empirical-bernstein: 2n - 1 for 2(n - 1)": (
        "empirical-bernstein",
        lambda kind, g, delta: empirical_bernstein(kind, g, delta, less_one=(2 * g.examples - 1) / mpf(2)),
    ),
    "empirical-bernstein: delta spent twice": (
        "empirical-bernstein",
        lambda kind, g, delta: empirical_bernstein(kind, g, delta, spent_twice=True),
    ),
    "catoni-grid: the best C without its union": (
        "catoni-grid",
        lambda kind, g, delta: min(catoni_at(mpf(c), g, delta) for c in kind.rates()),
    ),
    "unexpected-bernstein: without its union": (
        "unexpected-bernstein",
        lambda kind, g, delta: unexpected_bernstein(kind, g, delta * kind.points),
    ),
    "maurer: ln(1/delta) alone": ("maurer", lambda kind, g, delta: maurer(kind, g, delta * exp(log_xi(g.examples)))),
    "quadratic: eps/2 in one root": (
        "quadratic",
        lambda kind, g, delta: (sqrt(g.risk + cost_of_kl(g, delta) / 2) + sqrt(cost_of_kl(g, delta) / 4)) ** 2,
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_formulas_are_caught(wrong):
    """Wrong on purpose: whoever prints one of these prints a number below the bound, and the comparison says so."""
    name, formula = WRONG[wrong]
    caught = 0
    for g, delta in cases(60):
        kind = PAC_BAYES[name]()
        found = kind.upper(g, delta) if g.examples >= kind.least_examples else 1.0
        if g.risk < found < 1:
            caught += formula(kind, exact(g), mpf(delta)) < mpf(found) * (1 - mpf(2) ** -45)
    assert caught >= 15
