"""Weak distances: against a double loop and leaving out one by one, and how often their intervals hold."""

import numpy as np
import pytest
from scipy.stats import binom

from eigensam.ground import InputError
from eigensam.sde.simulation.comparison.squared_norms import half_widths
from eigensam.sde.simulation.comparison.weak_distance import contrast, time_shares, weak_distance

from .ensembles import TIMES, mean, noise

LEVEL = 1e-4
"""That a test of coverage fails by chance; there are some hundred."""

STUDENT_4 = 2.7764451052  # quantile at 0.975, 4 degrees of freedom: printed tables have 2.776


def double_loop(differences, times):
    shares, n, total = time_shares(times), len(differences), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += sum(s * a * b for s, a, b in zip(shares, differences[i, 1:], differences[j, 1:], strict=True))
    return total / (n * (n - 1))


def left_out(statistic, *ensembles):
    """Jackknife standard error by computing everything again without each path."""
    n = len(ensembles[0])
    values = np.array([statistic(*(np.delete(each, i, 0) for each in ensembles)) for i in range(n)])
    return ((n - 1) / n * ((values - values.mean()) ** 2).sum()) ** 0.5


def degenerate(p, s):
    """Mean square of ``(<p_i, s_j> + <s_i, p_j>) / 2`` over independent pairs, by covariance matrices."""
    weights = time_shares(TIMES) ** 0.5
    joint = np.cov(np.concatenate([p[:, 1:] * weights, s[:, 1:] * weights], 1).T)
    k = len(weights)
    pp, ss, ps = joint[:k, :k], joint[k:, k:], joint[:k, k:]
    return 0.5 * np.trace(pp @ ss) + 0.5 * np.trace(ps @ ps)


def test_distance_is_that_of_slow_loops():
    rng = np.random.default_rng(0)
    times = np.array([0.0, 1.0, 1.5, 4.0, 4.1])
    differences = 0.3 + rng.standard_normal((5, 5))
    found = weak_distance(differences, times)
    exact = double_loop(differences, times)
    assert found.squared == pytest.approx(exact, rel=1e-12)
    assert found.value == pytest.approx(max(exact, 0) ** 0.5)
    width = STUDENT_4 * left_out(lambda d: double_loop(d, times), differences)
    assert found.low == pytest.approx(max(exact - width, 0) ** 0.5, rel=1e-9)


def test_upper_end_is_that_of_slow_loops():
    d = 2 * mean(1.0) + noise(np.random.default_rng(1), 5, "walk")
    exact = double_loop(d, TIMES)
    width = STUDENT_4 * left_out(lambda d: double_loop(d, TIMES), d)
    addition = (STUDENT_4**2 + 1) * degenerate(d, d) ** 0.5 / 5
    assert weak_distance(d, TIMES).high == pytest.approx((exact + width + addition) ** 0.5, rel=1e-9)


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_contrast_is_that_of_slow_loops(factor):
    rng = np.random.default_rng(2)
    shared = noise(rng, 5, "stationary")
    a, b = 0.7 * mean(1.0) + shared, mean(1.0, "flat") + shared + noise(rng, 5, "other")

    def slow(a, b):
        return factor * double_loop(a, TIMES) - double_loop(b, TIMES)

    root = factor**0.5
    width = STUDENT_4 * left_out(slow, a, b)
    addition = (STUDENT_4**2 + 1) * degenerate(root * a - b, root * a + b) ** 0.5 / 5
    found = contrast(a, b, TIMES, factor=factor)
    assert found.value == pytest.approx(slow(a, b), rel=1e-10)
    assert found.low == pytest.approx(slow(a, b) - width - addition, rel=1e-9)
    assert found.high == pytest.approx(slow(a, b) + width + addition, rel=1e-9)


def test_a_number_has_students_upper_end():
    """One look: ``e = |mu|``, and the exact interval of the mean of 5 normal numbers ends at ``|m| + t s``."""
    d = np.column_stack([np.zeros(5), [0.9, 1.3, 0.8, 1.1, 1.4]])
    found = weak_distance(d, np.array([0.0, 2.0]))
    m, s = d[:, 1].mean(), d[:, 1].std(ddof=1) / 5**0.5
    wider = STUDENT_4 * left_out(lambda d: double_loop(d, np.array([0.0, 2.0])), d) - 2 * STUDENT_4 * m * s
    assert found.high**2 == pytest.approx((m + STUDENT_4 * s) ** 2 + wider, rel=1e-9)
    assert abs(wider) < 0.1 * s  # the jackknife's width is about 2 t |m| s
    np.testing.assert_allclose(
        [found.difference_low[1], found.difference_high[1]], [m - 2.7764 * s, m + 2.7764 * s], rtol=1e-4
    )


def test_the_bootstrap_agrees():
    rng = np.random.default_rng(3)
    d = mean(0.5) + noise(rng, 300, "walk")
    resampled = [double(d[rng.integers(0, 300, 300)]) for _ in range(800)]
    found = weak_distance(d, TIMES)
    width = found.squared - found.low**2
    assert width == pytest.approx(1.968 * np.std(resampled), rel=0.12)  # 800 resamples: 2.5 % each standard deviation


def double(d):
    """``U`` by sums; the bootstrap meets each path several times, so only its spread is used."""
    return weak_distance(d, TIMES).squared


def too_many(misses, count, level=0.05):
    """Whether so many are beyond chance, where each happens at most with this probability."""
    return bool(binom.sf(misses - 1, count, level) < LEVEL)


CASES = [(n, kind) for n in (5, 20, 1000) for kind in ("one direction", "walk", "stationary", "independent")]


def misses(interval, n, kind, e, shape="ramp"):
    """How many of intervals miss a truth of ``e`` standard errors, and of how many."""
    rng, count = np.random.default_rng(n), 150 if n == 1000 else 500
    truth = e / n**0.5
    found = [interval(mean(truth, shape) + noise(rng, n, kind)) for _ in range(count)]
    return sum(low > truth + 1e-12 or high < truth - 1e-12 for low, high in found), count


def ours(d):
    found = weak_distance(d, TIMES)
    return found.low, found.high


@pytest.mark.parametrize(("n", "kind"), CASES)
@pytest.mark.parametrize("e", [0.0, 1.5, 4.0])
def test_intervals_hold(n, kind, e):
    assert not too_many(*misses(ours, n, kind, e))


def test_intervals_hold_where_noise_is_orthogonal_to_the_difference():
    assert not too_many(*misses(ours, 20, "one direction", 20.0, "alternating"))


def biased(d):
    """Wrong on purpose: the V-statistic, ``|mean|^2``, counts noise as distance."""
    found = weak_distance(d, TIMES)
    shift = found.difference[1:] ** 2 @ time_shares(TIMES) - found.squared
    return max(found.low**2 + shift, 0) ** 0.5, (found.high**2 + shift) ** 0.5


def bare(d):
    """Wrong on purpose: the jackknife alone."""
    found = weak_distance(d, TIMES)
    return found.low, max(2 * found.squared - _unclipped_low(d), 0) ** 0.5


def _unclipped_low(d):
    weights = time_shares(TIMES) ** 0.5
    v = d[:, 1:] * weights
    u = v - v.mean(0)
    influence = 2 * u @ v.mean(0) - 2 * (u * u).sum(1) / (len(d) - 2)
    return weak_distance(d, TIMES).squared - half_widths(influence, 0.0, 0.95)[0]


@pytest.mark.parametrize("wrong", [biased, bare])
def test_wrong_intervals_are_found(wrong):
    kind, e = {biased: ("independent", 0.0), bare: ("one direction", 1.5)}[wrong]
    assert too_many(*misses(wrong, 20, kind, e))


def contrasts(interval, a, b, n, kind):
    """How often two processes that are equally far are told apart; both share noise, as that of the rule."""
    rng, count = np.random.default_rng(n), 150 if n == 1000 else 500
    told = 0
    for _ in range(count):
        shared = noise(rng, n, kind)
        low, high = interval(a / n**0.5 + shared, b / n**0.5 + shared + 0.1 * noise(rng, n, kind))
        told += low > 0 or high < 0
    return told, count


def paired(a, b):
    found = contrast(a, b, TIMES)
    return found.low, found.high


@pytest.mark.parametrize(("n", "kind"), CASES)
@pytest.mark.parametrize("e", [0.0, 2.0, 5.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_equal_distances_are_not_told_apart(n, kind, e, sign):
    assert not too_many(*contrasts(paired, mean(e), sign * mean(e, "ramp" if sign < 0 else "flat"), n, kind))


def test_one_noisy_process_is_not_called_closer():
    """Noise may cancel the difference of one of them; the jackknife alone calls it closer in a fifth of all cases."""

    def told(interval):
        rng, count = np.random.default_rng(4), 500
        pairs = (
            (1.5 * mean(1.0) + noise(rng, 40, "walk") * 40**0.5, 1.5 * mean(1.0) + 0.01 * noise(rng, 40, "walk"))
            for _ in range(count)
        )
        return sum(interval(a, b)[1] < 0 for a, b in pairs), count

    def bare(a, b):
        found = contrast(a, b, TIMES)
        one, two = (_influence(each) for each in (a, b))
        width = half_widths(one - two, 0.0, 0.95)[0]
        return found.value - width, found.value + width

    assert not too_many(*told(paired), level=0.025)
    assert too_many(*told(bare), level=0.025)


def _influence(d):
    v = d[:, 1:] * time_shares(TIMES) ** 0.5
    u = v - v.mean(0)
    return 2 * u @ v.mean(0) - 2 * (u * u).sum(1) / (len(d) - 2)


def unpaired(a, b):
    """Wrong on purpose: standard errors of coupled paths added as if they were independent."""
    found = contrast(a, b, TIMES)
    width = np.hypot(*(half_widths(_influence(each), 0.0, 0.95)[0] for each in (a, b)))
    return found.value - width, found.value + width


def test_unpaired_intervals_are_found():
    """On opposite sides of the rule its noise adds up; on the same side it cancels, and a paired interval sees that."""
    far = mean(12.0)
    assert too_many(*contrasts(unpaired, far, -far, 20, "walk"))
    assert not too_many(*contrasts(paired, far, -far, 20, "walk"))
    told = {interval: contrasts(interval, far, mean(14.0), 20, "walk")[0] for interval in (paired, unpaired)}
    assert told[paired] > 450
    assert told[unpaired] < 250


def test_which_is_closer_and_by_how_much():
    rng = np.random.default_rng(5)
    shared = noise(rng, 20, "walk")
    near, far = mean(1.0) + 0.1 * shared, mean(3.0) + 0.1 * shared
    assert contrast(near, far, TIMES).sign == -1
    assert contrast(far, near, TIMES).sign == 1
    assert contrast(near, far, TIMES, factor=4).sign == -1
    assert contrast(near, mean(1.5) + 0.1 * shared, TIMES, factor=4).sign == 1
    assert contrast(near, near, TIMES).sign == 0


@pytest.mark.parametrize("n", [1, 2])
def test_few_paths_have_no_interval_and_say_so(n):
    d = mean(1.0) + 0.1 * noise(np.random.default_rng(6), n, "walk")
    found = weak_distance(d, TIMES)
    assert found.low is found.high is None
    assert "no interval" in found.remark
    assert not found.resolved
    assert contrast(d, 5 * d, TIMES).sign == 0
    assert contrast(d, 5 * d, TIMES).value == pytest.approx(-24 * found.squared)
    assert (found.difference_low is None) == (n == 1)
    if n == 2:
        assert found.squared == pytest.approx(d[0, 1:] @ d[1, 1:] / 12)


def test_without_noise_the_distance_is_exact():
    d = np.tile(mean(0.5), (7, 1))
    found = weak_distance(d, TIMES)
    np.testing.assert_allclose([found.low, found.value, found.high], 0.5, rtol=1e-12)
    assert contrast(d, 2 * d, TIMES, factor=3.9).sign == -1


def test_more_looks_do_not_change_a_constant_distance():
    for times in (np.array([0.0, 1.0]), np.linspace(0, 1, 50), np.array([0.0, 0.001, 0.002, 1.0])):
        assert weak_distance(np.tile(times > 0, (3, 1)) * 1.0, times).value == pytest.approx(1)


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
def test_bad_confidence(confidence):
    with pytest.raises(InputError, match="confidence"):
        weak_distance(np.ones((1, 13)), TIMES, confidence)
    with pytest.raises(InputError, match="confidence"):
        contrast(np.ones((1, 13)), np.ones((1, 13)), TIMES, confidence)
