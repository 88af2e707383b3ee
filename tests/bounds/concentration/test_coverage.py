"""How often bounds fail: exactly where it can be summed, else counted; planted errors fail too often.

A probability of failure rises just above a bound that is attained, so that exact sums look there.
"""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from scipy import stats

from eigensam.bounds import clopper_pearson, empirical_bernstein, hoeffding, kl_inverse

REPETITIONS = 2000
SIZES = (1, 2, 5, 20)
DELTAS = (0.05, 0.3, 0.9)


def too_often(failures, delta):
    """More failures than chance explains at probability ``delta``, once in ten thousand tests."""
    return failures > stats.binom.isf(1e-4, REPETITIONS, delta)


def error_distribution(probabilities):
    """Of the number of errors of independent examples, exact."""
    distribution = [Fraction(1)]
    for p in probabilities:
        shifted = [Fraction(0), *(p * mass for mass in distribution)]
        distribution = [(1 - p) * a + b for a, b in zip([*distribution, Fraction(0)], shifted, strict=True)]
    return distribution


def failure(bounds, probabilities, side="upper"):
    """Probability that ``bounds[k]`` lies on the wrong side of the mean probability, exact."""
    mean = sum(probabilities) / len(probabilities)
    wrong = (b < mean if side == "upper" else b > mean for b in bounds)
    return sum(mass for mass, fails in zip(error_distribution(probabilities), wrong, strict=True) if fails)


def worst_failure(bounds, side="upper"):
    """The largest over ``p``: just beyond one of the bounds, where one more of them fails."""
    tiny = Fraction(1, 2**200) * (1 if side == "upper" else -1)
    points = [Fraction(b) + tiny for b in bounds if 0 < b < 1]
    return max(failure(bounds, [p] * (len(bounds) - 1), side) for p in points)


@cache
def clopper_pearson_bounds(n, delta, side="upper", identical=True):
    return [clopper_pearson(k, n, delta, side=side, identical=identical) for k in range(n + 1)]


def chernoff_bounds(n, delta, side="upper"):
    return [kl_inverse(Fraction(k, n), -math.log(delta) / n * (1 + 1e-15), side=side) for k in range(n + 1)]


@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("n", SIZES)
def test_clopper_pearson(n, delta, side):
    """The worst failure is delta to 14 digits, and never more."""
    bounds = clopper_pearson_bounds(n, delta, side)
    assert Fraction(delta) * (1 - Fraction(1, 10**12)) <= worst_failure(bounds, side) <= delta


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("n", SIZES)
def test_clopper_pearson_with_planted_errors(n, delta):
    upper, lower = (clopper_pearson_bounds(n, delta, side) for side in ("upper", "lower"))
    inward = [math.nextafter(b, 0) if b < 1 else b for b in upper]
    if n > 1:  # for one example P(X <= 0) = 1 - p can equal delta: a tie, and a float to spare
        assert worst_failure(inward) > delta
    one_error_less = [upper[max(0, k - 1)] for k in range(n + 1)]
    assert worst_failure(one_error_less) > delta
    # delta spent twice: both sides at once, each with all of it
    p = Fraction(upper[n // 3]) + Fraction(1, 2**200)
    both = failure(upper, [p] * n) + failure(lower, [p] * n, "lower")
    halves = [clopper_pearson_bounds(n, delta / 2, side) for side in ("upper", "lower")]
    assert failure(halves[0], [p] * n) + failure(halves[1], [p] * n, "lower") <= delta
    if n == 20:
        assert both > delta


@pytest.mark.parametrize("n", [2, 3, 8])
def test_different_probabilities(n):
    """Exact, for spreads of all kinds whose mean lies just beyond a bound; identical=True is wrong at the ends."""
    rng = np.random.default_rng(n)
    for delta in (0.01, 0.05, 0.25):
        worst = {False: Fraction(0), True: Fraction(0)}
        for side in ("upper", "lower"):
            for identical in (False, True):
                bounds = clopper_pearson_bounds(n, delta, side, identical)
                for bound in bounds:
                    if 0 < bound < 1:
                        tiny = Fraction(1, 2**200) * (1 if side == "upper" else -1)
                        for probabilities in spreads(Fraction(bound) + tiny, n, rng):
                            worst[identical] = max(worst[identical], failure(bounds, probabilities, side))
        assert worst[False] <= delta
        assert worst[True] > delta * (1 + delta / 5)


def spreads(mean, n, rng):
    """Probabilities of that mean: equal, as unequal as can be, and at random between."""
    equal = [mean] * n
    yield equal
    ones = int(mean * n)
    unequal = [Fraction(1)] * ones + [mean * n - ones] + [Fraction(0)] * (n - ones - 1)
    yield unequal
    for _ in range(4):
        share = Fraction(float(rng.random()))
        yield [share * a + (1 - share) * b for a, b in zip(equal, unequal, strict=True)]


@pytest.mark.parametrize("side", ["upper", "lower"])
@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("n", SIZES)
def test_relative_entropy(n, delta, side):
    """Chernoff's bound fails with at most delta; exactly so for no error at all."""
    bounds = chernoff_bounds(n, delta, side)
    worst = worst_failure(bounds, side)
    assert Fraction(delta) * (1 - Fraction(1, 10**12)) <= worst <= delta
    narrower = [kl_inverse(Fraction(k, n), -math.log(delta) / (n + 0.1), side=side) for k in range(n + 1)]
    assert worst_failure(narrower, side) > delta


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("n", SIZES)
def test_hoeffding(n, delta):
    """Exact for errors; a factor 2 of the root goes unseen but at one example and at high delta."""
    bounds = [hoeffding(Fraction(k, n), n, delta) for k in range(n + 1)]
    assert all(b == 1 for b in bounds) or worst_failure(bounds) <= delta


def test_hoeffding_with_planted_errors():
    assert worst_failure([math.sqrt(math.log(2) / 4), 1.0]) > 0.5  # 4n for 2n
    root_forgotten = [k / 20 + -math.log(0.05) / 40 for k in range(21)]
    assert worst_failure(root_forgotten) > 0.05


def non_identical_losses(kind, n, rng):
    """Losses in [0, 1] with an expectation for each example: repetitions x n, and the mean expectation."""
    p = rng.permutation(np.linspace(0.5, 1.5, n))
    if kind == "rare errors":  # the mean just above what no error at all gives at delta = 0.05
        p = p * (1 - 0.05 ** (1 / n)) * 1.001
        return (rng.random((REPETITIONS, n)) < p).astype(float), p.mean()
    if kind == "rarer errors":  # half of that
        p = p * (1 - 0.05 ** (1 / (2 * n))) * 1.001
        return (rng.random((REPETITIONS, n)) < p).astype(float), p.mean()
    if kind == "errors":
        p = p * 0.4
        return (rng.random((REPETITIONS, n)) < p).astype(float), p.mean()
    a, b = 0.3 * p, 2 * p[::-1]
    return rng.beta(a, b, (REPETITIONS, n)), (a / (a + b)).mean()


@cache
def chernoff(mean, n, delta):
    return kl_inverse(mean, -math.log(delta) / n)


BOUNDS = {
    "Hoeffding": lambda losses, n, delta: hoeffding(losses.mean(), n, delta),
    "empirical Bernstein": lambda losses, n, delta: empirical_bernstein(losses.mean(), losses.var(ddof=1), n, delta),
    "relative entropy": lambda losses, n, delta: chernoff(losses.mean(), n, delta),
}


@pytest.mark.parametrize("kind", ["rare errors", "rarer errors", "errors", "fractions"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_different_distributions(bound, kind):
    n, rng = 60, np.random.default_rng(1)
    losses, expectation = non_identical_losses(kind, n, rng)
    failures = sum(BOUNDS[bound](row, n, 0.05) < expectation for row in losses)
    assert not too_often(failures, 0.05)


def _bernstein_without_range(losses, n, delta):
    return losses.mean() + math.sqrt(2 * losses.var(ddof=1) * math.log(2 / delta) / n)


def _bernstein_of_the_mean(losses, n, delta):
    """Takes the variance of the mean for that of a loss, and forgets the range."""
    return losses.mean() + math.sqrt(2 * losses.var(ddof=1) / n * math.log(2 / delta) / n)


def _root_forgotten(losses, n, delta):
    return losses.mean() + math.log(1 / delta) / (2 * n)


def _twice_the_sample(losses, n, delta):
    return chernoff(losses.mean(), 2 * n, delta)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (_bernstein_without_range, "rarer errors"),
        (_bernstein_of_the_mean, "errors"),
        (_root_forgotten, "errors"),
        (_twice_the_sample, "rarer errors"),
    ],
)
def test_planted_errors_in_bounds(wrong, kind):
    n, rng = 60, np.random.default_rng(1)
    losses, expectation = non_identical_losses(kind, n, rng)
    failures = sum(wrong(row, n, 0.05) < expectation for row in losses)
    assert too_often(failures, 0.05)


def test_delta_spent_twice():
    """Two samples, both bounds at once: each may spend half of delta; each with all of it fails too often."""
    n, rng = 60, np.random.default_rng(3)
    samples = [non_identical_losses("rare errors", n, rng) for _ in range(2)]
    for share, caught in ((0.5, False), (1, True)):
        failures = sum(
            any(chernoff(losses[row].mean(), n, share * 0.05) < expectation for losses, expectation in samples)
            for row in range(REPETITIONS)
        )
        assert too_often(failures, 0.05) == caught
