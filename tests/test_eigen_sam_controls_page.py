"""What docs/eigen-sam-controls.md says of the plan is what the plan is."""

import re
from pathlib import Path

import eigensam
from eigensam.paper_figures.beyond_control import MARGIN
from eigensam.paper_figures.items.eigen_sam_controls import EigenSAMControls
from eigensam.paper_figures.measurements.control_plan import conditions

TEXT = (Path(eigensam.__file__).parent / "docs" / "eigen-sam-controls.md").read_text()


def test_the_table_of_pairs():
    rows = re.findall(r"^\| ([^|]+) \| [^|]*\| (\d+) \| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
    pairs = EigenSAMControls().all_pairs
    said = [(int(examples), int(steps), int(seeds)) for _, examples, steps, seeds in rows]
    assert said == [(each.train, each.train // each.batch_size * each.epochs, each.seeds) for each in pairs]
    assert [name.split(",")[0] for name, *_ in rows] == [each.name.split(",")[0] for each in pairs]
    assert all(f"`{each.model}`" in TEXT for each in pairs)


def test_how_many_verdicts():
    item = EigenSAMControls()
    found = conditions(item.alphas, item.refreshes, item.accurate)
    count = len(item.all_pairs) * sum(each.method == "eigen-sam" for each in found)
    assert f"The full plan has {count} verdicts" in TEXT
    assert f"a reduction of {MARGIN:.0%}".replace("%", " %") in TEXT
