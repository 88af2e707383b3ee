"""Claims about many slopes: an edited one is another number, and another verdict."""

import json
from pathlib import Path

from eigensam.paper_figures.items.ablations import Ablations
from eigensam.paper_figures.items.critical_point import CriticalPoint
from eigensam.paper_figures.items.order_table import OrderTable
from eigensam.paper_figures.items.trained_sde import TrainedSDE
from eigensam.paper_figures.measurements.trained_sde import WHOLE, variants

DOCS = Path(__file__).parents[3] / "docs"


def test_order_table():
    result = json.loads((DOCS / "order_table.json").read_text())["result"]
    (before,) = OrderTable().claims(result)
    result[0]["slope"] += 0.3
    (after,) = OrderTable().claims(result)
    assert (before.verdict.word, after.verdict.word) == ("reproduced", "not reproduced")
    assert before.measured != after.measured


def test_ablations():
    row = {"group": "a", "change": "none", "order": "2/3", "slope": 0.67, "cost": 1.0, "verdict": "pass"}
    (before,), (after,) = Ablations().claims([row]), Ablations().claims([{**row, "slope": 0.9}])
    assert (before.verdict.word, after.verdict.word) == ("reproduced", "not reproduced")
    assert after.measured.endswith("0.233")
    (unsure,) = Ablations().claims([{**row, "verdict": "inconclusive"}])
    assert unsure.verdict.word == "not resolved here"


def test_critical_point():
    far = {"distance": 1.0, "slopes": [3.0], "expected": 3}
    near = {**far, "distance": 0.01, "slopes": [1.0]}
    (before,) = CriticalPoint().claims([far, near])
    (after,) = CriticalPoint().claims([far, {**near, "slopes": [2.9]}])
    assert (before.verdict.word, after.verdict.word) == ("reproduced", "not reproduced")
    assert "2.90" in after.measured
    assert "2.90" in after.verdict.decided_by


def trained(label, order, slope, verdict):
    errors = [0.01, 0.01 * 0.5**slope, 0.01 * 0.25**slope]
    measured = {"etas": [0.01, 0.005, 0.0025], "errors": errors, "slopes": [slope, slope], "slope": slope}
    return {"label": label, "order": order, "expected": 2.0, "verdict": verdict, **measured}


def test_trained_sde():
    """A verification fails where an SDE is wrong on purpose: what decides is whether its slope is 1."""
    result = [trained(WHOLE, 2.0, 2.01, "pass"), *(trained(str(i), 1.0, 0.99, "fail") for i in range(5))]
    item = TrainedSDE()
    (before,) = item.claims(result)
    (after,) = item.claims([*result[:-1], trained("5", 1.0, 1.7, "fail")])
    assert (before.verdict.word, after.verdict.word) == ("reproduced", "not reproduced")
    (unsure,) = item.claims([{**result[0], "verdict": "inconclusive"}, *result[1:]])
    assert unsure.verdict.word == "not resolved here"
    (axes,) = item.plot(result).axes
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [each.split(":")[0] for each in shown] == [WHOLE, "0", "1", "2", "3", "4", "expected"]


def test_what_the_variants_of_a_trained_sde_lack():
    whole, *others = variants().values()
    assert whole.weak_order == 2
    assert [sde.weak_order for sde in others] == [1] * len(others)
    assert not whole.covariance
    assert len({str(sde.correction) + str(bool(sde.covariance)) for sde in (whole, *others)}) == 1 + len(others)
