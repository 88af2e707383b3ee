"""What docs/eigen-sam-controls.md says of the plan is what the plan is."""

import re
from pathlib import Path

import eigensam
from eigensam.paper_figures.beyond_control import LOWER
from eigensam.paper_figures.items.eigen_sam_controls import EigenSAMControls
from eigensam.paper_figures.measurements.control_plan import conditions

TEXT = (Path(eigensam.__file__).parent / "docs" / "eigen-sam-controls.md").read_text()


def test_the_table_of_pairs():
    rows = re.findall(r"^\| ([^|]+) \| [^|]*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
    pairs = EigenSAMControls().all_pairs
    said = [tuple(map(int, row[1:])) for row in rows]
    assert said == [
        (each.train, each.batch_size, each.train // each.batch_size * each.epochs, each.seeds) for each in pairs
    ]
    assert [name for name, *_ in rows] == [each.name for each in pairs]
    assert all(f"`{each.model}`" in TEXT for each in pairs)


def test_how_many_verdicts():
    item = EigenSAMControls()
    eigen = [each for each in conditions(item.alphas, item.refreshes, item.accurate) if each.method == "eigen-sam"]
    assert sum(each.family == "main" for each in eigen) == 3
    assert "*main*, three on each pair" in TEXT
    assert f"a reduction of {LOWER.within}".replace("%", " %") in TEXT
