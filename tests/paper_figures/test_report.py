"""Verdicts follow from the numbers, in both directions."""

import math

import pytest

from eigensam.ground.intervals import Interval
from eigensam.ground.result_store import Measured
from eigensam.paper_figures.items.bound_terms import BoundTerms
from eigensam.paper_figures.items.figure1 import Figure1, _ratio_verdict
from eigensam.paper_figures.items.weak_order import SECOND, THIRD, WeakOrder
from eigensam.paper_figures.report import comparisons, differences

ITEMS = {"weak_order": WeakOrder(), "figure1": Figure1(), "bound_terms": BoundTerms()}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.7, 0.9, "reproduced"),
        (1.1, 1.3, "contradicted"),
        (0.9, 1.1, "not resolved: the interval contains 1"),
        (math.nan, math.nan, "not resolved: one seed: no interval"),
    ],
)
def test_ratio_verdicts(low, high, verdict):
    assert _ratio_verdict(Interval((low + high) / 2, (high - low) / 2)) == verdict


def _weak(slope, verdict):
    return [
        {"exponent": e, "label": m, "expected": 1.0, "slopes": [slope], "verdict": verdict}
        for e in ("1/3", "1/2")
        for m in (SECOND, THIRD)
    ]


def _metrics(factor, alignment):
    return {
        name: [[{"lambda_1": scale * (1 + 0.01 * seed), "alignment": alignment}] for seed in range(3)]
        for name, scale in (("sgd", 1.0), ("sam", factor), ("eigen-sam", factor**2))
    }


def _rows(*results):
    return [c.to_dict() for c in comparisons(ITEMS, {n: Measured(r, {}) for n, r in zip(ITEMS, results, strict=True)})]


def test_good_numbers_and_bad_numbers():
    good = _rows(_weak(1.0, "pass"), _metrics(0.5, 0.1), {"sam": {"vacuous": True}})
    assert {row["verdict"] for row in good} == {"reproduced"}
    assert len(good) == 7
    bad = _rows(_weak(0.5, "fail"), _metrics(2.0, 0.9), {"sam": {"vacuous": False}})
    assert not any(row["verdict"] == "reproduced" for row in bad)
    # an interval that reaches over the threshold, and one bound that is not vacuous, are not "reproduced"
    mixed = _metrics(0.5, 0.4)
    mixed["sam"][0][0]["alignment"] = 0.1
    mixed["sam"][1][0]["alignment"] = 0.6
    unsure = _rows(_weak(1.0, "pass"), mixed, {"sam": {"vacuous": True}, "sgd": {"vacuous": False}})
    assert [row["verdict"] for row in unsure[-2:]] == ["not resolved: not below 0.5", "contradicted"]
    assert all(row.keys() == {"claim", "paper", "measured", "verdict"} for row in good + bad)


def test_what_differs_between_the_measurements():
    one = {"torch": "2.9", "git_commit": "a", "device": "cpu", "dtype": "float64", "threads": 1}
    assert differences({"weak order": one, "Figure 1": {**one, "dtype": "float32", "device": "cuda:0"}}) == []
    other = {**one, "torch": "2.10", "git_commit": None}
    assert differences({"weak order": one, "Figure 1": other}) == [
        "torch: 2.9 (weak order), 2.10 (Figure 1)",
        "git_commit: a (weak order), None (Figure 1)",
    ]
