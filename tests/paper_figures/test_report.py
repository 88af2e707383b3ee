"""Verdicts follow from the numbers, in both directions; what made them is said."""

from eigensam.paper_figures.items.figure1 import Figure1
from eigensam.paper_figures.report import differences, duration


def _metrics(factor, alignment):
    return {
        name: [[{"lambda_1": scale * (1 + 0.01 * seed), "alignment": alignment}] for seed in range(3)]
        for name, scale in (("sgd", 1.0), ("sam", factor), ("eigen-sam", factor**2))
    }


def _words(metrics):
    return [claim.verdict.word for claim in Figure1().claims(metrics)]


def test_good_numbers_and_bad_numbers():
    assert _words(_metrics(0.5, 0.1)) == ["reproduced"] * 3
    assert "reproduced" not in _words(_metrics(2.0, 0.9))
    # an interval that reaches over the threshold is not "reproduced"
    mixed = _metrics(0.5, 0.4)
    mixed["sam"][0][0]["alignment"] = 0.1
    mixed["sam"][1][0]["alignment"] = 0.6
    assert _words(mixed)[-1] == "not resolved here"


def test_what_differs_between_the_measurements():
    one = {"torch": "2.9", "git_commit": "a", "device": "cpu", "dtype": "float64", "threads": 1}
    assert differences({"weak order": one, "Figure 1": {**one, "dtype": "float32", "device": "cuda:0"}}) == []
    other = {**one, "torch": "2.10", "git_commit": None}
    assert differences({"weak order": one, "Figure 1": other}) == [
        "torch: 2.9 (weak order), 2.10 (Figure 1)",
        "git_commit: a (weak order), None (Figure 1)",
    ]


def test_durations_are_rounded_once():
    """No minute of 60 seconds, no hour of 60 minutes."""
    assert duration(59.94) == "59.9 s"
    assert duration(119.6) == "2 min 0 s"
    assert duration(3599.7) == "1 h 0 min"
