"""Energy distances: against a double loop, closed forms and scipy; how often their intervals hold."""

import numpy as np
import pytest
import scipy.stats
from scipy.stats import binom

from eigensam.sde.simulation.comparison import energy_distance as module
from eigensam.sde.simulation.comparison.energy_distance import energy_distance, halves


def double_loop(x, y):
    n = len(x)

    def norm(v):
        return float((v**2).sum() ** 0.5)

    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    return sum(norm(x[i] - y[j]) * 2 - norm(x[i] - x[j]) - norm(y[i] - y[j]) for i, j in pairs) / len(pairs)


def between_normals(shift, s=1.0, r=1.0):
    """``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` of ``N(0, s^2)`` and ``N(shift, r^2)``: folded normal distributions."""

    def folded(m, v):
        return scipy.stats.foldnorm.mean(abs(m) / v**0.5, scale=v**0.5)

    return 2 * folded(shift, s**2 + r**2) - folded(0, 2 * s**2) - folded(0, 2 * r**2)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_it_is_that_of_a_double_loop(d, monkeypatch):
    rng = np.random.default_rng(d)
    x = rng.standard_normal((13, d))
    y = x + 0.5 + 0.3 * rng.standard_normal((13, d))
    monkeypatch.setattr(module, "_CHUNK", 5)
    found = energy_distance(x, y)
    assert found.value == pytest.approx(double_loop(x, y), rel=1e-12)
    left_out = np.array([double_loop(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(13)])
    error = (12 / 13 * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5
    assert found.low == pytest.approx(max(found.value - scipy.stats.t.ppf(0.975, 12) * error, 0), rel=1e-9)


def test_closed_form_and_scipy():
    """Scipy gives the square root, of the biased statistic: the bias of 4000 points is 2.3e-4 each."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4000, 1)), 0.7 + 1.5 * rng.standard_normal((4000, 1))
    exact = between_normals(0.7, 1.0, 1.5)
    found = energy_distance(x, y)
    assert found.low < exact < found.high
    assert found.value == pytest.approx(exact, rel=0.12)
    assert found.value == pytest.approx(scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2, abs=2e-3)


def test_a_process_without_noise():
    """All mass at one point: ``2 E|X - y| - E|X - X'|``."""
    x = np.random.default_rng(1).standard_normal((2000, 1))
    found = energy_distance(x, np.zeros((1, 1)))
    exact = 2 * (2 / np.pi) ** 0.5 - 2 / np.pi**0.5
    assert found.low < exact < found.high
    assert found.high - found.low < 0.1


def missed(statistic, shift, exact):
    rng, count, misses = np.random.default_rng(2), 300, 0
    for _ in range(count):
        common = rng.standard_normal((30, 1))
        x, y = (common + 0.5 * rng.standard_normal((30, 1)) for _ in range(2))
        low, high = statistic(x, y + shift)
        misses += not low <= exact <= high
    return binom.sf(misses - 1, count, 0.05) < 1e-4


def ours(x, y):
    found = energy_distance(x, y)
    return found.low, found.high


def twins_too(x, y):
    """Wrong on purpose: pairs of a path with itself are counted, which coupling makes close."""
    n = len(x)
    own = 2 * np.abs(x - y).sum() / n**2
    found = energy_distance(x, y)
    value = double_loop(x, y)
    shift = (1 - 1 / n) * value + own - value
    return found.low + shift, found.high + shift


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3, 1.0])
def test_intervals_hold(shift):
    s = 1.25**0.5
    assert not missed(ours, shift, between_normals(shift, s, s))


def test_counting_twins_is_found():
    assert missed(twins_too, 0.0, 0.0)


def test_coupling_makes_intervals_narrow():
    """Wrong on purpose: pairs that are torn apart."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((300, 2))
    y = x + 0.2
    torn = energy_distance(x, rng.permutation(y))
    found = energy_distance(x, y)
    assert found.low > 0
    assert (found.high - found.low) < 0.5 * (torn.high - torn.low)


def test_thinning_is_even(monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 50)
    x = np.random.default_rng(4).standard_normal((99, 2))
    kept = np.arange(0, 99, 2)
    found = energy_distance(x, x + 1)
    assert found.points == 50
    assert found.value == pytest.approx(double_loop(x[kept], x[kept] + 1))


def test_halves_of_one_sample_are_at_no_distance():
    rng = np.random.default_rng(5)
    found = [energy_distance(*halves(rng.standard_normal((101, 2)))) for _ in range(200)]
    assert {each.points for each in found} == {50}
    beyond = sum(each.low > 0 for each in found)
    assert binom.sf(beyond - 1, 200, 0.05) > 1e-4


def test_two_points_have_no_interval():
    found = energy_distance(np.array([[0.0], [1.0]]), np.array([[2.0], [4.0]]))
    assert found.low is found.high is None
    assert found.value == pytest.approx((2 * (4 + 1) - 2 * 1 - 2 * 2) / 2)
