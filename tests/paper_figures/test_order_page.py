"""The page holds every number of the committed table."""

import json
from pathlib import Path

from eigensam.paper_figures.measurements.order_cells import EXPONENTS
from eigensam.paper_figures.order_page import markdown

TABLE = Path(__file__).parents[2] / "docs" / "order_table.json"


def test_markdown_holds_every_number():
    table = json.loads(TABLE.read_text())["result"]
    text = markdown(table)
    for entry in table:
        assert f"{entry['predicted']}: {entry['slope']:.3f}" in text
    assert text.count("### ") == 6
    assert all(f"β = {b}" in text for b in EXPONENTS)
    failed = {**table[0], "verdict": "fail"}
    with_failure = markdown([failed, *table[1:]])
    assert f"{failed['slope']:.3f} fail" in with_failure
