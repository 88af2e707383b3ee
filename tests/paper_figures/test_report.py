"""Verdicts follow from the numbers, in both directions."""

import pytest

from eigensam.paper_figures.report import _ratio_verdict, comparisons, differences
from eigensam.paper_figures.weak_order import SECOND, THIRD


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.7, 0.9, "reproduced"), (1.1, 1.3, "contradicted"), (0.9, 1.1, "not resolved: the interval contains 1")],
)
def test_ratio_verdicts(low, high, verdict):
    assert _ratio_verdict(low, high) == verdict


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


def test_good_numbers_and_bad_numbers():
    good = comparisons(_weak(1.0, "pass"), _metrics(0.5, 0.1), {"sam": {"vacuous": True}})
    assert {row["verdict"] for row in good} == {"reproduced"}
    bad = comparisons(_weak(0.5, "fail"), _metrics(2.0, 0.9), {"sam": {"vacuous": False}})
    assert not any(row["verdict"] == "reproduced" for row in bad)
    # an interval that reaches over the threshold, and one bound that is not vacuous, are not "reproduced"
    mixed = _metrics(0.5, 0.4)
    mixed["sam"][0][0]["alignment"] = 0.1
    mixed["sam"][1][0]["alignment"] = 0.6
    unsure = comparisons(_weak(1.0, "pass"), mixed, {"sam": {"vacuous": True}, "sgd": {"vacuous": False}})
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
