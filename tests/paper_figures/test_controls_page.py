"""What the docs say of Eigen-SAM's controls is what was measured: pages are made of the record beside them."""

import json
from pathlib import Path

import pytest

from eigensam.ground.fingerprints import fingerprint
from eigensam.ground.result_store import Measured
from eigensam.paper_figures.control_numbers import pair_numbers
from eigensam.paper_figures.controls_picture import draw_controls
from eigensam.paper_figures.items.eigen_sam_controls import EigenSAMControls
from eigensam.paper_figures.measurements.control_plan import Condition
from eigensam.paper_figures.report_page import section_page
from eigensam.paper_figures.section import described

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def record():
    return json.loads((DOCS / "eigen_sam_controls.json").read_text())


def test_the_record_is_as_it_was_measured(record):
    assert record["sha256"] == fingerprint(record["result"])
    seeds = {pair["name"]: pair["seeds"] for pair in record["result"]["pairs"]}
    for pair in record["result"]["pairs"]:
        complete = [run for run in pair["runs"] if run["condition"]["method"] == "eigen-sam"]
        assert len(complete) == 32
        assert all(len(run["seeds"]) == seeds[pair["name"]] for run in complete)


def test_the_page_of_results_is_made_of_the_record(record):
    measured = Measured(record["result"], record["made_with"])
    page = section_page(
        described("eigen_sam_controls", EigenSAMControls(), measured), "images/eigen_sam_controls_plan.png"
    )
    assert (DOCS / "eigen-sam-controls-results.md").read_text() == page
    assert len(draw_controls(record["result"]).axes) == 2 * len(record["result"]["pairs"])


def test_the_main_answers_are_those_of_the_record(record):
    """Each row of the short table, from the numbers themselves."""
    page = (DOCS / "eigen-sam-controls.md").read_text()
    for numbers in pair_numbers(record["result"]):
        for alpha, k, direction in ((0.2, 100, "minibatch"), (1.0, 1, "minibatch"), (1.0, 20, "whole")):
            row = numbers.row(Condition("eigen-sam", alpha, k, direction))
            cells = [row.sam.words, row.control.words, row.control.answer, f"{row.control.adjusted:.1g}"]
            assert f"| {' | '.join(cells)} |" in page, (numbers.pair["name"], row.label)
