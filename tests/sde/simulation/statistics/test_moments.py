"""Moments against exact fractions and numpy; merged, far from 0, of odd numbers; what their intervals cover."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from eigensam.ground.errors import InputError
from eigensam.sde.simulation.statistics.moments import Moments, pooled_products
from eigensam.sde.simulation.statistics.quantile_sketch import QuantileSketch

from .coverage import SAMPLES, coverage_is, hits


def exact_sums(values, degree):
    """Mean and sum of powers of deviations of numbers, rounded once."""
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact) / len(exact)
    return float(mean), float(sum((value - mean) ** degree for value in exact))


def merged(parts):
    result = parts[0]
    for part in parts[1:]:
        result = result.merge(part)
    return result


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("splits", [[], [1, 2, 90], [50]])
def test_against_fractions(offset, splits):
    values = np.random.default_rng(0).gamma(2.0, size=(120, 2, 3)) + offset
    found = merged([Moments.of(part) for part in np.split(values, splits)])
    rounding = 1e-12 if offset == 0 else 3e-8  # the mean of numbers near 1e8 is rounded to 7e-9
    for at in np.ndindex(2, 3):
        own = values[:, *at]
        assert found.mean[at] == pytest.approx(exact_sums(own, 2)[0], rel=1e-15)
        assert found.products[at][at[1]] == pytest.approx(exact_sums(own, 2)[1], rel=rounding)
        assert found.cubes[at] == pytest.approx(exact_sums(own, 3)[1], rel=10 * rounding)
        assert found.fourths[at] == pytest.approx(exact_sums(own, 4)[1], rel=10 * rounding)


def test_against_numpy_and_scipy():
    values = np.random.default_rng(1).lognormal(size=(500, 4)).astype(np.float32)
    found = merged([Moments.of(part) for part in np.split(values, [3, 400])])
    double = values.astype(np.float64)
    assert np.allclose(found.covariance, np.cov(double.T), rtol=1e-13)
    assert np.allclose(found.variance, double.var(0, ddof=1), rtol=1e-13)
    assert np.allclose(found.skewness, stats.skew(double), rtol=1e-12)
    assert np.allclose(found.kurtosis, stats.kurtosis(double, fisher=False), rtol=1e-12)


def test_single_precision_would_fail():
    """Wrong on purpose: the same sums in the type of the values."""
    values = (np.random.default_rng(2).standard_normal((10_000, 1)) + 1000).astype(np.float32)
    truth = values.astype(np.float64).var(ddof=1)
    assert Moments.of(values).variance.item() == pytest.approx(truth, rel=1e-12)
    assert (values**2).mean() - values.mean() ** 2 != pytest.approx(truth, rel=0.01)


@pytest.mark.parametrize("term", ["products", "cubes", "fourths"])
def test_merging_without_the_shift_would_fail(term):
    """Wrong on purpose: sums about different means are added as they are."""
    values = np.random.default_rng(3).standard_normal((40, 1))
    values[20:] += 0.5
    all_at_once, parts = Moments.of(values), [Moments.of(values[:20]), Moments.of(values[20:])]
    assert getattr(parts[0].merge(parts[1]), term) == pytest.approx(getattr(all_at_once, term), rel=1e-12)
    assert getattr(parts[0], term) + getattr(parts[1], term) != pytest.approx(getattr(all_at_once, term), rel=1e-2)


def test_merging_is_symmetric_up_to_rounding_and_counts_exactly():
    values = np.random.default_rng(4).standard_normal((100, 2, 2)) ** 3
    one, two = Moments.of(values[:30]), Moments.of(values[30:])
    there, back = one.merge(two), two.merge(one)
    assert there.count == back.count == 100
    for name in ("mean", "products", "cubes", "fourths"):
        assert np.allclose(getattr(there, name), getattr(back, name), rtol=1e-12, atol=1e-13)


def expected_variance(population, size, divisor):
    """Over all samples with replacement, exactly."""
    total = Fraction(0)
    for sample in itertools.product(population, repeat=size):
        found = Moments.of(np.array(sample, dtype=float)[:, None])
        total += Fraction(found.products.item()) / divisor(found.count)
    return total / len(population) ** size


def test_the_variance_has_no_bias_and_the_biased_one_would_fail():
    population = [0.0, 1.0, 4.0, 7.0]
    truth = sum((Fraction(each) - 3) ** 2 for each in population) / 4
    assert float(expected_variance(population, 3, lambda n: n - 1)) == pytest.approx(float(truth), rel=1e-14)
    assert float(expected_variance(population, 3, lambda n: n)) == pytest.approx(float(truth * 2 / 3), rel=1e-14)
    sample = Moments.of([[0.0], [4.0], [7.0]])
    assert sample.variance.item() == sample.products.item() / 2


LAWS = {  # a sampler, mean and variance; enough values that the normal limit is near
    "normal": (lambda rng, shape: rng.standard_normal(shape), 0.0, 1.0),
    "uniform": (lambda rng, shape: rng.random(shape), 0.5, 1 / 12),
    "exponential": (lambda rng, shape: rng.standard_exponential(shape), 1.0, 1.0),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("kind", ["mean", "variance"])
def test_coverage(law, kind):
    """The same intervals, narrower by 0.8, and those of a normal law's variance, must fail."""
    draw, mean, variance = LAWS[law]
    found = Moments.of(draw(np.random.default_rng(5), (2000, SAMPLES, 1)))
    intervals = found.mean_intervals() if kind == "mean" else found.variance_intervals()
    truth = mean if kind == "mean" else variance
    assert coverage_is(hits(intervals, truth), slack=0.015)
    assert not coverage_is(hits(intervals, truth, 0.8), slack=0.015)
    if kind == "variance" and law != "normal":
        normal = replace(found, fourths=3 * found.products[..., 0] ** 2 / found.count).variance_intervals()
        assert not coverage_is(hits(normal, truth), slack=0.015)


def test_student_for_few_normal_values():
    """With the normal quantile instead of Student's, 10 values would cover 91.8 %."""
    found = Moments.of(np.random.default_rng(6).standard_normal((10, SAMPLES, 1)))
    assert coverage_is(hits(found.mean_intervals(), 0.0))
    normal = stats.norm.ppf(0.975) / stats.t.ppf(0.975, 9)
    assert not coverage_is(hits(found.mean_intervals(), 0.0, normal))


def test_variance_of_two_equally_likely_values():
    """The kurtosis is as small as it can be, and the formula's second order is all that is left."""
    coins = np.random.default_rng(7).integers(0, 2, (400, SAMPLES, 1))
    assert hits(Moments.of(coins).variance_intervals(), 0.25).mean() > 0.95


@pytest.mark.parametrize("value", [0.1, -3.0, 0.0, 5e-324, 1e74, 1e8 + 0.1])
def test_a_constant(value):
    """Exactly: no spread is made of rounding, however the cells are merged."""
    found = merged([Moments.of(np.full((n, 1), value)) for n in (3, 1, 70, 1)])
    assert found.mean.tolist() == [value]
    assert not found.products.any()
    assert not found.cubes.any()
    assert not found.fourths.any()
    assert math.isnan(found.kurtosis.item())
    assert math.isnan(found.skewness.item())
    intervals = found.variance_intervals()
    assert (intervals.low.item(), intervals.high.item()) == (0.0, 0.0)
    assert found.mean_intervals().low.item() == value


@pytest.mark.parametrize("scale", [1e-90, 1e-80])
def test_tiny_spread_is_not_certain(scale):
    """Fourth powers underflow, to 0 or in part, so that they bound nothing; squares do not yet."""
    found = Moments.of(np.random.default_rng(8).standard_normal((1000, 1)) * scale)
    assert found.variance.item() == pytest.approx(scale**2, rel=0.2)
    assert (found.variance_intervals().low.item(), found.variance_intervals().high.item()) == (0.0, np.inf)


@pytest.mark.parametrize("scale", [1e-70, 1e73])
def test_no_scale_is_special(scale):
    values = np.random.default_rng(9).exponential(size=(1000, 1))
    one, other = Moments.of(values), Moments.of(values[:400] * scale).merge(Moments.of(values[400:] * scale))
    assert other.kurtosis.item() == pytest.approx(one.kurtosis.item(), rel=1e-10)
    assert other.skewness.item() == pytest.approx(one.skewness.item(), rel=1e-10)
    ours, theirs = one.variance_intervals(), other.variance_intervals()
    assert theirs.high.item() / theirs.value.item() == pytest.approx(ours.high.item() / ours.value.item(), rel=1e-10)


def test_one_path_has_a_mean_and_no_interval():
    one = Moments.of([[1.0, 2.0]])
    assert one.mean.tolist() == [1.0, 2.0]
    for ask in (lambda: one.variance, lambda: one.covariance, one.mean_intervals, one.variance_intervals):
        with pytest.raises(InputError, match="no spread"):
            ask()
    assert one.merge(Moments.of([[3.0, 2.0]])).variance.tolist() == [2.0, 0.0]


def elsewhere(values, first):
    """The same numbers, paths next to each other, at another address modulo that of a vector register."""
    columns = np.moveaxis(values, 0, -1)
    place = np.empty(values.size + first)[first:].reshape(columns.shape)
    place[...] = columns
    return np.moveaxis(place, -1, 0)


@pytest.mark.parametrize("make", [np.copy, np.asfortranarray, lambda x: np.stack([x, x], -1)[..., 1]])
def test_bits_do_not_depend_on_memory(make):
    values = np.random.default_rng(10).standard_normal((999, 3, 2))
    for statistic in (Moments.of, lambda x: QuantileSketch.of(x, 1e-3)):
        truth = statistic(values).to_arrays()
        for other in (make(values), *(elsewhere(values, first) for first in (1, 2, 3, 5))):
            assert all(array.tobytes() == truth[name].tobytes() for name, array in statistic(other).to_arrays().items())


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros((0, 2)), "at least one path"),
        (np.zeros((3, 0)), "at least one path"),
        (np.zeros(3), r"expected \(paths, ..., components\)"),
        ([[1.0, 2.0], [3.0, np.nan]], r"at \(1, 1\) of \(2, 2\) \(path first\) is nan"),
        ([[[1.0]], [[-np.inf]]], r"at \(1, 0, 0\) of \(2, 1, 1\) \(path first\) is -inf"),
        ([[1e74], [-1.1e74]], "fourth powers"),
    ],
)
def test_bad_values(values, match):
    with pytest.raises(InputError, match=match):
        Moments.of(values)


def test_other_shapes_and_confidences():
    with pytest.raises(InputError, match="cannot be merged"):
        Moments.of([[1.0]]).merge(Moments.of([[1.0, 2.0]]))
    with pytest.raises(InputError, match="out of range"):
        Moments.of([[1.0], [2.0]]).variance_intervals(1.0)


def test_arrays_and_back():
    found = Moments.of(np.random.default_rng(11).standard_normal((5, 2, 3)))
    again = Moments.from_arrays(found.to_arrays())
    assert again.count == found.count
    assert all(again.to_arrays()[name].tobytes() == array.tobytes() for name, array in found.to_arrays().items())


def test_pooled_products_of_nothing_and_something():
    """An empty stream adds nothing: its mean, 0, has no weight."""
    theirs = np.array([[2.0]])
    assert pooled_products(np.zeros((1, 1)), theirs, np.array([7.0]), 0, 3).tolist() == [[2.0]]
