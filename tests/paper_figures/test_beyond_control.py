"""Verdicts against another library's tests, and how often they are wrong."""

import math

import numpy as np
import pytest
from scipy import stats

from eigensam.ground import InputError
from eigensam.ground.holm import holm
from eigensam.ground.intervals import Interval
from eigensam.paper_figures.beyond_control import LOWER, Comparison, higher, judged, student_p


def _comparison(low, high, adjusted):
    middle = (math.log(low) + math.log(high)) / 2
    return Comparison(Interval(middle, math.log(high) - middle), adjusted, adjusted)


def test_student_p_is_that_of_scipy():
    values = np.random.default_rng(0).normal(0.3, 1.0, 9)
    assert student_p(values.tolist()) == pytest.approx(stats.ttest_1samp(values, 0, alternative="less").pvalue, 1e-10)
    assert student_p([0.0, 0.0]) == 1.0
    assert student_p([1.0, 1.0]) == 1.0
    assert student_p([-1.0, -1.0]) == 0.0
    assert student_p([-1.0, -1.0], step=1.0) == pytest.approx(stats.t(1).cdf(-math.sqrt(24)))
    assert student_p([1.0]) == 1.0


def test_interval_is_that_of_scipy():
    over, under = np.random.default_rng(1).lognormal(size=(2, 7))
    ours = judged([(over.tolist(), under.tolist())])[0].difference
    theirs = stats.ttest_rel(np.log(over), np.log(under)).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-10)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_number_without_a_logarithm_is_refused(value):
    with pytest.raises(InputError, match="has no logarithm; a ratio needs positive numbers"):
        judged([([1.0, value], [1.0, 1.0])])


def test_holm_rejects_what_its_algorithm_rejects():
    """The paper's own words: step down while ``p_(i) <= level/(n - i + 1)``."""
    p_values = np.random.default_rng(2).uniform(0, 0.05, 12).tolist()
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, i in enumerate(sorted(range(12), key=p_values.__getitem__)):
            if p_values[i] > level / (12 - step):
                break
            rejected.add(i)
        assert {i for i, p in enumerate(holm(p_values)) if p <= level} == rejected


@pytest.mark.parametrize(
    ("low", "high", "adjusted", "answer"),
    [
        (0.68, 0.79, 0.001, "yes"),
        (0.68, 0.99, 0.3, "not resolved"),  # alone it is lower; among so many it may be chance
        (0.96, 0.98, 0.001, "yes, by less than 5%"),
        (0.96, 0.99, 0.3, "no"),
        (0.96, 1.03, 1.0, "no"),
        (1.10, 1.30, 0.001, "no"),
        (0.93, 1.02, 1.0, "not resolved"),  # no difference seen is no equality
        (0.70, 1.40, 1.0, "not resolved"),
    ],
)
def test_answers(low, high, adjusted, answer):
    assert _comparison(low, high, adjusted).answer == answer


def test_what_is_to_be_higher():
    points = higher(0.5, "half a point", 2, unit=0.01)
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.0005, (4, 8))
    over = [0.9 + gain + row for gain, row in zip((0.02, 0.002, 0.0, -0.02), noise, strict=True)]
    found = judged([(row.tolist(), [0.9] * 8) for row in over], points)
    assert [each.answer for each in found] == ["yes", "yes, by less than half a point", "no", "no"]
    theirs = stats.ttest_1samp(100 * (over[0] - 0.9), 0).confidence_interval(0.95)
    assert found[0].words == f"{100 * (over[0] - 0.9).mean():+.2f} [{theirs[0]:+.2f}, {theirs[1]:+.2f}]"
    assert found[3].words.startswith("-2.0")


def test_one_seed_resolves_nothing():
    (found,) = judged([([0.5], [1.0])])
    assert (found.answer, found.words) == ("not resolved", "0.50")


def _wrong_answers(answer_of, ratio, wrong):
    """Share of experiments of 40 comparisons over 8 seeds in which some answer is wrong."""
    rng = np.random.default_rng(3)
    count = 0
    for _ in range(200):
        under = np.exp(rng.normal(0, 0.3, (40, 8)))
        over = ratio * under * np.exp(rng.normal(0, 0.05, (40, 8)))
        answers = [answer_of(each) for each in judged(list(zip(over.tolist(), under.tolist(), strict=True)))]
        count += any(each.startswith(wrong) for each in answers)
    return count / 200


def test_yes_is_rarely_wrong_among_many():
    assert _wrong_answers(lambda each: each.answer, 1.0, "yes") <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


def test_without_holm_it_would_be_wrong_often():
    """Wrong on purpose: each interval is looked at alone."""

    def naive(each):
        return "yes" if each.difference.high < 0 else "no"

    assert _wrong_answers(naive, 1.0, "yes") > 0.4


def test_a_no_is_wrong_as_often_as_it_says():
    """At a true reduction of just the margin, 2.5 % of all answers."""
    rng, wrong = np.random.default_rng(4), 0
    under = np.ones((20000, 8))
    over = 0.95 * np.exp(rng.normal(0, 0.05, (20000, 8)))
    for row in judged(list(zip(over.tolist(), under.tolist(), strict=True))):
        wrong += row.difference.low > -LOWER.margin
    assert wrong / 20000 == pytest.approx(0.025, abs=3 * math.sqrt(0.025 * 0.975 / 20000))
