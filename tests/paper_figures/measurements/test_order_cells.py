"""The order table: a cell of every kind measured here, all of them in the committed table, which a command makes."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from eigensam.landscapes import TiltedTorus
from eigensam.paper_figures.measurements.order_cells import Cell, cells, measure_cell

TABLE = Path(__file__).parents[3] / "docs" / "order_table.json"
EVERY = list(cells())


def committed():
    return {
        Cell(e["rule"], e["rho_exponent"], e["weak_order"], e["drift_order"]): e
        for e in json.loads(TABLE.read_text())["result"]
    }


def test_every_cell_of_the_committed_table():
    """Measured slopes within 0.05 of today's prediction, within 0.1 for order 2: 128 cells."""
    table = committed()
    assert list(table) == EVERY
    assert len(EVERY) == 128
    for cell, entry in table.items():
        predicted = cell.sde().weak_order
        assert Fraction(entry["predicted"]) == predicted, cell
        assert entry["slope"] == pytest.approx(float(predicted), abs=0.1 if predicted == 2 else 0.05), cell
        assert entry["verdict"] == "pass", cell


@pytest.mark.parametrize("cell", EVERY[5::11], ids=str)
def test_cells_measured_again(cell):
    """Every eleventh cell, which reaches each rule, exponent, order and drift: the committed numbers are these."""
    entry = measure_cell(cell)
    before = committed()[cell]
    assert entry.verdict == "pass"
    assert entry.slope == pytest.approx(before["slope"], abs=1e-3)
    assert entry.error == pytest.approx(before["error"], rel=1e-3)


def test_the_sample_reaches_everything():
    sample = EVERY[5::11]
    for name in ("rule", "rho_exponent", "weak_order", "drift_order"):
        assert {getattr(c, name) for c in sample} == {getattr(c, name) for c in EVERY}


@pytest.mark.parametrize(
    ("p", "orders"),
    [(1, {1: "1/3", 2: "2/3", 3: "1"}), (2, {1: "1/3", 2: "2/3", 3: "1"})],
)
def test_predictions_of_theory(p, orders):
    """Section 3 at beta = 1/3: min(m beta, p)."""
    for m, order in orders.items():
        assert Cell("sam", "1/3", p, m).sde().weak_order == Fraction(order)
    assert Cell("sam", "2/3", 2, 3).sde().weak_order == 2
    assert Cell("sam", "1/2", 2, 3).sde().weak_order == Fraction(3, 2)


def test_another_landscape():
    entry = measure_cell(Cell("sam", "1/3", 1, 2), TiltedTorus.random(2, seed=5))
    assert entry.slope == pytest.approx(2 / 3, abs=0.05)
