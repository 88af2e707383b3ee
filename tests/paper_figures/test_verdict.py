"""Verdicts follow from intervals, in both directions, and nothing else is a verdict."""

import math

import pytest

from eigensam.ground.intervals import Interval
from eigensam.paper_figures.verdict import NOT_REPRODUCED, NOT_RESOLVED, REPRODUCED, Verdict, above, below, decide


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.7, 0.9, REPRODUCED), (1.1, 1.3, NOT_REPRODUCED), (0.9, 1.1, NOT_RESOLVED), (0.8, 1.0, NOT_RESOLVED)],
)
def test_below_and_above_mirror_each_other(low, high, expected):
    interval = Interval((low + high) / 2, (high - low) / 2)
    mirrored = Interval(-interval.mean, interval.half_width)
    assert below(interval, 1.0, "ratio").word == expected
    assert above(mirrored, -1.0, "ratio").word == expected
    opposite = {REPRODUCED: NOT_REPRODUCED, NOT_REPRODUCED: REPRODUCED, NOT_RESOLVED: NOT_RESOLVED}
    assert above(interval, 1.0, "ratio").word == opposite[expected]


def test_what_decides_is_said():
    assert below(Interval(0.8, 0.1), 1.0, "ratio").decided_by == "ratio: [0.700, 0.900] lies below 1"
    assert "contains 1" in below(Interval(1.0, 0.1), 1.0, "ratio").decided_by


@pytest.mark.parametrize("mean", [0.5, math.nan, math.inf])
def test_without_an_interval_nothing_is_decided(mean):
    """Neither of one seed nor of what is no number."""
    found = below(Interval(mean, math.nan), 1.0, "ratio")
    assert found.word == NOT_RESOLVED
    assert found.decided_by
    assert above(Interval(math.nan, 0.1), 1.0, "ratio").word == NOT_RESOLVED


@pytest.mark.parametrize(("word", "why"), [("contradicted", "1 > 0"), ("reproduced", " "), ("", "x")])
def test_no_other_words(word, why):
    with pytest.raises(ValueError, match="a verdict is one of"):
        Verdict(word, why)


def test_a_comparison_that_is_either_right_or_wrong():
    assert (decide(True, "1 > 0").word, decide(False, "0 > 1").word) == (REPRODUCED, NOT_REPRODUCED)
