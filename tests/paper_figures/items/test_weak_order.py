"""The weak-order figure shows what was measured."""

import pytest

from eigensam.paper_figures.items.weak_order import WeakOrder
from eigensam.sde import ETAS


@pytest.fixture(scope="module")
def results():
    calls = []
    found = WeakOrder(etas=ETAS[:4]).measure(None, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 9) for done in range(1, 10)]
    assert len(found) == 9
    return found


def test_measures_every_exponent_and_order(results):
    kept = [(r["exponent"], len(r["drift"]), len(r["correction"]), len(r["covariance"])) for r in results]
    assert kept[:6] == [(e, m, 0, m) for e in ("1/3", "1/2") for m in (1, 2, 3)]
    assert kept[6:] == [("2/3", 3, 2, 2), ("2/3", 3, 0, 2), ("2/3", 3, 2, 0)]
    assert [r["expected"] for r in results[6:]] == [2, 1, 1]


def test_plots_the_measured_errors_and_slopes(results):
    figure = WeakOrder().plot(results)
    for axes, exponent in zip(figure.axes, ("1/3", "1/2", "2/3"), strict=True):
        ours = [r for r in results if r["exponent"] == exponent]
        curves = [line for line in axes.lines if line.get_marker() != "None"]
        for line, result in zip(curves, ours, strict=True):
            assert list(line.get_ydata()) == result["errors"]
            assert list(line.get_xdata()) == result["etas"]
            assert f"slope {result['slopes'][-1]:.2f}" in line.get_label()
        assert r"\eta" in axes.get_xlabel()


def test_claims_follow_the_slopes(results):
    """Orders print as fractions, and a slope that is edited decides otherwise."""
    item = WeakOrder()
    claims = item.claims(results)
    assert claims[1].paper == "theory: order 2/3"
    assert "1/3" in [row[2] for row in item.tables(results)[0].rows]
    edited = [{**each, "verdict": "pass", "slopes": [*each["slopes"][:-1], 1.4]} for each in results]
    found = item.claims(edited)[0]
    assert (found.measured, found.verdict.word) == ("last slope 1.400", "not reproduced")
    assert found.verdict.decided_by == "last slope 1.400 not within 0.05 of 1 (ours)"
    good = [{**each, "slopes": [each["expected"]], "verdict": "pass"} for each in results]
    assert {claim.verdict.word for claim in item.claims(good)} == {"reproduced"}
    unsure = [{**each, "verdict": "inconclusive", "reason": "noise"} for each in good]
    assert {claim.verdict.word for claim in item.claims(unsure)} == {"not resolved here"}
