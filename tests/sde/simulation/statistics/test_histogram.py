"""Histograms against numpy's; intervals of proportions against fractions, scipy, and their exact coverage."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.statistics.histogram import Histogram, proportion_intervals

EDGES = np.array([[-1.0, 0.0, 0.25, 2.0], [0.0, 1.0, 1.5, 3.0]])


def test_against_numpy():
    values = np.random.default_rng(0).standard_normal((1000, 4, 2)).round(1)  # many values on edges
    found = Histogram.of(values[:300], EDGES).merge(Histogram.of(values[300:], EDGES))
    for time, p in np.ndindex(4, 2):
        own = values[:, time, p]
        truth = np.histogram(own, EDGES[p])[0]
        assert found.counts[time, p].tolist() == [(own < EDGES[p, 0]).sum(), *truth, (own > EDGES[p, -1]).sum()]
    assert found.count == 1000
    density, edges = np.histogram(values[:, 0, 0], [-np.inf, *EDGES[0], np.inf])[0] / 1000, EDGES[0]
    assert np.allclose(found.densities().value[0, 0], density[1:-1] / np.diff(edges), atol=(values == 2).mean())


def test_edges_belong_to_the_bin_above_and_the_last_to_the_bin_below():
    counts = Histogram.of([[0.0], [1.0], [2.0], [np.nextafter(2, 3)], [-5e-324]], [0, 1, 2]).counts
    assert counts.tolist() == [[1, 1, 2, 1]]


def test_merging_has_no_order_and_is_exact():
    values = np.random.default_rng(1).standard_normal((100, 2))
    parts = [Histogram.of(part, EDGES) for part in np.split(values, [1, 50])]
    there, back = parts[0].merge(parts[1]).merge(parts[2]), parts[2].merge(parts[0].merge(parts[1]))
    assert there.counts.tobytes() == back.counts.tobytes() == Histogram.of(values, EDGES).counts.tobytes()
    again = Histogram.from_arrays(there.to_arrays())
    assert again.edges.tobytes() == there.edges.tobytes()
    assert again.counts.tobytes() == there.counts.tobytes()


def test_densities_integrate_to_what_lies_between_the_edges():
    values = np.random.default_rng(2).standard_normal((1000, 1))
    found = Histogram.of(values, np.linspace(-1, 1, 8)).densities()
    assert found.value.sum() * 2 / 7 == pytest.approx((np.abs(values) <= 1).mean(), rel=1e-12)
    assert (found.low <= found.value).all()
    assert (found.value <= found.high).all()


def tail(count, k, p):
    """``P(B >= k)`` in fractions."""
    p = Fraction(p)
    return float(sum(math.comb(count, j) * p**j * (1 - p) ** (count - j) for j in range(k, count + 1)))


@pytest.mark.parametrize("count", [1, 7, 40])
def test_intervals_against_fractions(count):
    found = proportion_intervals(np.arange(count + 1), count, 0.9)
    for k in range(count + 1):
        assert k == 0 or tail(count, k, found.low[k]) == pytest.approx(0.05, rel=1e-9)
        assert k == count or 1 - tail(count, k + 1, found.high[k]) == pytest.approx(0.05, rel=1e-9)
    assert (found.low[0], found.high[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("count", [10, 10**4, 10**7])
def test_intervals_against_scipy(count):
    counts = np.array([0, 1, count // 3, count - 1, count])
    found = proportion_intervals(counts, count)
    for k, low, high in zip(counts.tolist(), found.low, found.high, strict=True):
        truth = stats.binomtest(k, count).proportion_ci(method="exact")
        assert (low, high) == pytest.approx((truth.low, truth.high), rel=1e-8)


def coverage(intervals, count, p, factor=1.0):
    """Exactly: the probability of all counts whose interval holds ``p``."""
    low = intervals.value - factor * (intervals.value - intervals.low)
    high = intervals.value + factor * (intervals.high - intervals.value)
    return stats.binom(count, p).pmf(np.arange(count + 1))[(low <= p) & (p <= high)].sum()


@pytest.mark.parametrize("count", [10, 100])
def test_coverage(count):
    """Never below the level. Intervals that are narrower by 0.8, or those of a normal limit, fall below."""
    every = np.linspace(0.001, 0.999, 300)
    found = proportion_intervals(np.arange(count + 1), count)
    assert min(coverage(found, count, p) for p in every) >= 0.95
    assert min(coverage(found, count, p, 0.8) for p in every) < 0.94
    share = np.arange(count + 1) / count
    half = 1.96 * np.sqrt(share * (1 - share) / count)
    normal = type(found)(share, share - half, share + half)
    assert min(coverage(normal, count, p) for p in every) < 0.5


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda: Histogram.of([[1.0]], [0.0]), "at least one bin"),
        (lambda: Histogram.of([[1.0]], [[0.0, 1.0], [0.0, 1.0]]), r"\(1, bins \+ 1\)"),
        (lambda: Histogram.of([[1.0]], [0.0, 0.0]), "numbers that increase"),
        (lambda: Histogram.of([[1.0]], [1.0, 0.0]), "numbers that increase"),
        (lambda: Histogram.of([[1.0]], [0.0, np.inf]), "numbers that increase"),
        (lambda: Histogram.of([[np.inf]], [0.0, 1.0]), "is inf"),
        (lambda: Histogram.of([1.0], [0.0, 1.0]), r"expected \(paths, ..., components\)"),
        (lambda: Histogram.of(np.zeros((0, 1)), [0.0, 1.0]), "at least one path"),
        (lambda: Histogram.of([[1.0]], [0, 1]).merge(Histogram.of([[1.0]], [0, 2])), "cannot be merged"),
        (lambda: Histogram.of([[1.0]], [0, 1]).merge(Histogram.of([[1.0, 1.0]], [0, 1])), "cannot be merged"),
        (lambda: Histogram.of([[1.0]], [0, 1]).densities(1.0), "confidence"),
    ],
)
def test_bad_input(ask, match):
    with pytest.raises(InputError, match=match):
        ask()
