"""Claims about many slopes: an edited one is another number, and another verdict."""

import json
from pathlib import Path

from eigensam.paper_figures.items.ablations import Ablations
from eigensam.paper_figures.items.critical_point import CriticalPoint
from eigensam.paper_figures.items.order_table import OrderTable

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
