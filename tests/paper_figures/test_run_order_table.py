"""``eigensam order-table``: from measured numbers to a page and three pictures; what fails is said."""

import json
import re
from dataclasses import asdict

import matplotlib.image
import pytest

from eigensam.paper_figures.items.critical_point import CriticalPoint
from eigensam.paper_figures.measurements import ablations, critical_point, order_cells
from eigensam.paper_figures.measurements.critical_point import measure_critical_point
from eigensam.paper_figures.measurements.order_cells import Cell, Entry, cells

ENTRIES = [
    Entry(cell, cell.sde().weak_order, float(cell.sde().weak_order) + 0.01, 0.05, 1e-3, 1e-3, "pass")
    for cell in cells()
]
ABLATIONS = [
    {"group": group, "change": change, "order": "1", "slope": 1.01, "cost": cost, "verdict": "pass"}
    for group in ("order 1", "order 2")
    for change, cost in (("none", 1.0), ("without noise", 6.06), ("diffusion doubled", 20137.0))
]


@pytest.fixture(scope="module")
def near():
    """Critical points, measured once."""
    return measure_critical_point()


@pytest.fixture
def quick(monkeypatch, near):
    """The stages with numbers that are made up, except the critical points."""
    monkeypatch.setattr(critical_point, "measure_critical_point", lambda progress: near)
    monkeypatch.setattr(order_cells, "measure_table", lambda progress: ENTRIES)
    monkeypatch.setattr(ablations, "measure_ablations", lambda progress: ABLATIONS)


def test_page_and_pictures(cli, tmp_path, quick):
    outcome = cli("order-table", "--out", tmp_path / "t", "--json", tmp_path / "all.json")
    assert outcome.code == 0
    assert "134 measured orders are the predicted ones, 0 are not" in outcome.out
    for name in ("order_table", "ablations", "critical_point"):
        assert matplotlib.image.imread(tmp_path / "t" / f"{name}.png").shape[1] > 1000
        assert {p.suffix for p in (tmp_path / "t").glob(f"{name}.*")} >= {".json", ".svg", ".pdf", ".png"}
    text = (tmp_path / "t" / "order_table.md").read_text()
    assert "| order 2 | diffusion doubled | 1 | 1.010 | 2.01e+04 |" in text
    found = json.loads((tmp_path / "all.json").read_text())
    assert len(found["order_table"]) == 128
    assert found["order_table"][0]["rule"] == "sgd"
    assert asdict(Cell("sgd", "1/3", 1, 1)).items() <= found["order_table"][0].items()


def test_a_wrong_order_is_said_and_exits_with_1(cli, tmp_path, quick, monkeypatch):
    wrong = [Entry(ENTRIES[0].cell, ENTRIES[0].predicted, 0.5, 0.05, 1e-3, 1e-3, "fail"), *ENTRIES[1:]]
    monkeypatch.setattr(order_cells, "measure_table", lambda progress: wrong)
    outcome = cli("order-table", "--out", tmp_path)
    assert outcome.code == 1
    assert "133 measured orders are the predicted ones, 1 are not" in outcome.out
    assert re.search(r"fail: \{'rule': 'sgd'", outcome.out)
    assert "0.500 fail" in (tmp_path / "order_table.md").read_text()


def test_the_picture_of_critical_points_marks_what_the_check_refuses(near):
    figure = CriticalPoint().plot(near)
    hollow = sum(line.get_markerfacecolor() == "white" for line in figure.axes[0].lines)
    assert hollow == sum(c > 1 for r in near for c in r["change"]) > 0


def test_out_is_a_file(cli, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = cli("order-table", "--out", tmp_path / "file")
    assert outcome.code == 2
    assert "is a file; choose another --out" in outcome.err
