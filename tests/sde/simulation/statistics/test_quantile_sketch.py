"""Quantiles against sorted values: the guaranteed error, merging without order, ranks, what intervals cover."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import stats

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.statistics.quantile_sketch import QuantileSketch, quantile_ranks

from .coverage import CONFIDENCE, SAMPLES, WRONGLY, hits

QS = [0.0, 1e-3, 0.05, 0.25, 0.5, 0.9, 0.999, 1.0]
ALPHAS = [1e-4, 0.01, 0.3]

SAMPLERS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n) ** 5,
    "all sizes": lambda rng, n: rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-307, 308, n),
    "negative": lambda rng, n: -rng.exponential(size=n),
    "whole": lambda rng, n: rng.poisson(1.0, n) - 1.0,
    "constant": lambda rng, n: np.full(n, -2.5),
    "zero": lambda rng, n: np.zeros(n),
    "far away": lambda rng, n: rng.standard_normal(n) + 1e8,
    "single": lambda rng, n: rng.standard_normal(n).astype(np.float32),
}


def worst_error(found, truth):
    """Relative; of 0, which must be exact, infinite or none."""
    size = np.where(truth == 0, 5e-324, np.abs(truth))
    with np.errstate(over="ignore"):
        return np.max(np.abs(found - truth) / size)


@pytest.mark.parametrize("law", SAMPLERS)
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_the_guaranteed_error(law, alpha, count):
    values = SAMPLERS[law](np.random.default_rng(0), 6 * count).reshape(count, 3, 2)
    sketch = QuantileSketch.of(values, alpha)
    for q in QS:
        truth = np.quantile(values.astype(np.float64), q, axis=0, method="inverted_cdf")
        assert worst_error(sketch.quantile(q), truth) <= alpha


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_ends_of_buckets_in_many_digits(alpha):
    """Where rounding could put a number into the next bucket, over the whole range, and the numbers beside it."""
    with mpmath.workdps(40):
        log_gamma = mpmath.log((1 + mpmath.mpf(alpha * (1 - 1e-6))) / (1 - mpmath.mpf(alpha * (1 - 1e-6))))
        last = int(mpmath.log(1.7e308) / log_gamma)
        ends = [float(mpmath.exp(i * log_gamma)) for i in np.linspace(-last, last, 400).astype(int).tolist()]
        close = [np.nextafter(end, side) for end in ends for side in (0, np.inf)]
        values = np.array([x for x in [*ends, *close] if x > 2.3e-308])
        found = np.array([QuantileSketch.of([[x]], alpha).quantile(0.5).item() for x in values])
        errors = [abs(mpmath.mpf(y) - mpmath.mpf(x)) / mpmath.mpf(x) for x, y in zip(values, found, strict=True)]
    assert len(errors) > 1000
    assert max(errors) <= alpha
    assert max(errors) > 0.99 * alpha  # these are the worst numbers


def test_wrong_representatives_would_fail():
    """Wrong on purpose: the upper end of a bucket, or the point of the next bucket."""
    values = np.random.default_rng(1).exponential(size=(2000, 1))
    sketch = QuantileSketch.of(values, 0.05)
    every = np.array([sketch.quantile(q).item() for q in np.arange(1, 2001) / 2000])
    ordered = np.sort(values[:, 0])
    assert worst_error(every, ordered) <= 0.05
    assert worst_error(every / 0.95, ordered) > 0.05
    assert worst_error(every * (1.05 / 0.95), ordered) > 0.05


def test_extremes():
    """Nothing collapses: the largest and the smallest numbers have buckets of their own; below, 0."""
    largest, tiny = np.finfo(np.float64).max, np.finfo(np.float64).tiny
    values = [largest, -largest, tiny, -tiny, 5e-324, -tiny / 2, 0.0, -0.0]
    sketch = QuantileSketch.of(np.array(values)[:, None], 1e-3)
    found = [sketch.quantile(k / 8).item() for k in range(1, 9)]
    truth = np.array([-largest, -tiny, 0, 0, 0, 0, tiny, largest])
    assert worst_error(np.array(found), truth) <= 1e-3
    assert sketch.counts.tolist() == [1, 1, 4, 1, 1]
    intervals = QuantileSketch.of(np.full((100, 1), largest), 1e-3).quantile_intervals(0.5)
    assert intervals.low.item() < largest <= intervals.high.item()


def test_memory_as_promised():
    for law in ("normal", "all sizes", "negative"):
        values = SAMPLERS[law](np.random.default_rng(2), 100_000)[:, None]
        size = np.abs(values)
        most = 2 + (math.log(size.max()) - math.log(size.min())) / math.log(1.01 / 0.99)
        assert len(QuantileSketch.of(values, 0.01).keys) <= 2 * most


def equal(one, other):
    return all(other.to_arrays()[name].tobytes() == array.tobytes() for name, array in one.to_arrays().items())


def test_merging_is_exact_and_has_no_order():
    values = SAMPLERS["heavy tails"](np.random.default_rng(3), 5 * 300).reshape(300, 5)
    parts = [QuantileSketch.of(part, 0.02) for part in np.split(values, [1, 7, 150, 299])]
    at_once = QuantileSketch.of(values, 0.02)
    for order in np.random.default_rng(4).permuted(np.tile(np.arange(5), (10, 1)), axis=1):
        merged = parts[order[0]]
        for i in order[1:]:
            merged = merged.merge(parts[i])
        assert equal(at_once, merged)
        assert not equal(at_once, parts[order[0]])
    assert equal(at_once, QuantileSketch.from_arrays(at_once.to_arrays()))


def exact_tail(count, q, k):
    """``P(B <= k)`` in fractions."""
    p = Fraction(q)
    return sum(math.comb(count, j) * p**j * (1 - p) ** (count - j) for j in range(k + 1))


@pytest.mark.parametrize("count", [1, 2, 5, 20, 60])
@pytest.mark.parametrize("q", [0.01, 0.3, 0.5, 0.95])
def test_ranks_against_fractions(count, q):
    half = Fraction(1 - 0.9) / 2
    low, high = quantile_ranks(count, q, 0.9)
    assert low == 0 or exact_tail(count, q, low - 1) <= half
    assert low > count or exact_tail(count, q, low) > half  # and not further out than needed
    assert high == count + 1 or 1 - exact_tail(count, q, high - 1) <= half
    assert high == 0 or 1 - exact_tail(count, q, high - 2) > half


@pytest.mark.parametrize("count", [10**4, 10**7, 10**9])
@pytest.mark.parametrize("q", [0.001, 0.5, 0.99])
def test_ranks_against_scipy(count, q):
    """``ppf`` is the smallest ``k`` with a tail of at least that."""
    law = stats.binom(count, q)
    assert quantile_ranks(count, q, 0.95) == (int(law.ppf(0.025)), int(law.isf(0.025)) + 1)


def exact_coverage(count, q, ranks):
    law = stats.binom(count, q)
    return law.cdf(ranks[1] - 1) - law.cdf(ranks[0] - 1)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.99])
def test_coverage(q):
    """For a continuous law it is known exactly; narrower by 0.8, or with the error of a mean, the intervals fail."""
    count = 1000
    values = np.random.default_rng(5).exponential(size=(count, SAMPLES, 1))
    intervals, truth = QuantileSketch.of(values, 1e-4).quantile_intervals(q), -math.log1p(-q)
    expected = exact_coverage(count, q, quantile_ranks(count, q, CONFIDENCE))
    assert expected >= CONFIDENCE
    low, high = stats.binom.ppf([WRONGLY / 2, 1 - WRONGLY / 2], SAMPLES, [expected, min(1.0, expected + 0.01)])
    assert low <= hits(intervals, truth).sum() <= high  # up to 0.01 more by the relative error at both ends
    assert hits(intervals, truth, 0.8).sum() < low


def test_coverage_of_a_law_with_steps():
    """At least as promised where many values are equal."""
    values = np.random.default_rng(6).poisson(2.0, (1000, SAMPLES, 1))
    intervals = QuantileSketch.of(values, 0.01).quantile_intervals(0.3)
    assert hits(intervals, 1.0).mean() >= CONFIDENCE


@pytest.mark.parametrize("q", [0.7, 0.2])
def test_intervals_are_widened_by_the_relative_error(q):
    """Without that, the values of the sample between which the quantile lies are outside."""
    values = np.random.default_rng(7).standard_normal((500, 50))
    ordered, (low, high) = np.sort(values, axis=0), quantile_ranks(500, q, CONFIDENCE)
    sketch = QuantileSketch.of(values, 0.2)
    found = sketch.quantile_intervals(q)
    assert (found.low <= ordered[low - 1]).all()
    assert (ordered[high - 1] <= found.high).all()
    assert not (sketch._value_of_rank(low) <= ordered[low - 1]).all()
    assert not (ordered[high - 1] <= sketch._value_of_rank(high)).all()


def test_few_values_bound_nothing():
    found = QuantileSketch.of([[1.0], [2.0]], 0.01).quantile_intervals(0.5)
    assert (found.low.item(), found.high.item()) == (-np.inf, np.inf)
    assert np.isfinite(QuantileSketch.of(np.arange(9.0)[:, None], 0.01).quantile_intervals(0.5).low).all()


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda s: QuantileSketch.of([[1.0]], 0.6), "no relative error"),
        (lambda s: QuantileSketch.of([[1.0]], 0.0), "no relative error"),
        (lambda s: QuantileSketch.of([[np.nan]], 0.1), "is nan"),
        (lambda s: QuantileSketch.of(np.zeros((0, 1)), 0.1), "at least one path"),
        (lambda s: s.merge(QuantileSketch.of([[1.0]], 0.2)), "cannot be merged"),
        (lambda s: s.merge(QuantileSketch.of([[1.0, 2.0]], 0.1)), "cannot be merged"),
        (lambda s: s.quantile(1.1), "no quantile"),
        (lambda s: s.quantile_intervals(0.0), "has no interval"),
        (lambda s: s.quantile_intervals(0.5, 0.0), "confidence"),
    ],
)
def test_bad_input(ask, match):
    with pytest.raises(InputError, match=match):
        ask(QuantileSketch.of([[1.0]], 0.1))
