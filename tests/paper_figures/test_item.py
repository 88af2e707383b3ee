"""An item of somebody else is in the help, in a run and in the report; its result is keyed by its code."""

import json
import subprocess
import sys

import pytest

from eigensam.paper_figures import ITEMS
from eigensam.paper_figures.registry import ITEMS as DEFINED

TOY = """
from dataclasses import dataclass

from eigensam.ground.pictures import new_figure
from eigensam.paper_figures import ITEMS, Claim, Item, decide


@ITEMS.register("squares")
@dataclass(frozen=True)
class Squares(Item):
    label, title = "squares", "Squares of the first numbers"
    count: int = 4

    def measure(self, resources, progress):
        progress(1, 1)
        return [i * i for i in range(self.count)]

    def plot(self, result):
        figure = new_figure(1)
        figure.axes[0].plot(result)
        return figure

    def claims(self, result):
        return [Claim("squares grow", "like i^2", f"up to {result[-1]}", decide(True, "the last is the largest"))]

    def caption(self, result):
        return f"The first {len(result)} squares, and nothing else."
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package with an item, found by its entry point."""
    (tmp_path / "toy_squares.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    list(ITEMS)  # of this package, for good
    found = []

    class Point:
        def load(self):
            found.append(__import__("toy_squares"))

    points = {"eigensam.figure": [Point()]}
    monkeypatch.setattr("eigensam.ground.registry.entry_points", lambda group: points.get(group, []))
    monkeypatch.setattr(DEFINED, "_complete", False)
    monkeypatch.setattr(DEFINED, "_entries", dict(DEFINED._entries))
    yield tmp_path / "toy_squares.py"
    sys.modules.pop("toy_squares", None)


def test_an_item_from_outside(cli, toy, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "squares" in cli("figures", "--list").out
    out = tmp_path / "out"
    outcome = cli("figures", "squares", "--out", out, "--device", "cpu", "--json", tmp_path / "f.json")
    assert outcome.code == 0, outcome
    assert "reproduced: squares grow: up to 9" in outcome.out
    assert json.loads((out / "squares.json").read_text())["result"] == [0, 1, 4, 9]
    assert {path.name for path in out.iterdir()} == {
        "report.html", "report.md", *(f"squares.{end}" for end in ("json", "svg", "pdf", "png"))
    }  # fmt: skip
    html = (out / "report.html").read_text()
    for text in ("Squares of the first numbers", "The first 4 squares, and nothing else.", "squares grow", "up to 9"):
        assert text in html
    assert json.loads((tmp_path / "f.json").read_text())["comparisons"][0]["claim"] == "squares grow"

    # Its own code is in its key: the result is measured again where the code is another
    key = json.loads((out / "squares.json").read_text())["fingerprint"]
    toy.write_text(TOY.replace("i * i", "i * i * i"))
    assert cli("figures", "squares", "--out", out, "--device", "cpu").code == 0
    assert json.loads((out / "squares.json").read_text())["fingerprint"] != key


def test_an_item_without_claims_is_not_made():
    """Wrong on purpose: what the protocol asks for is asked when the item is made."""
    from eigensam.paper_figures import Item

    class Half(Item):
        label = title = "half"

        def measure(self, resources, progress):
            return 1

    with pytest.raises(TypeError, match="abstract"):
        Half()


TRAIN = {
    *("figure1", "figure4", "figure5", "table1", "table2", "eigenvalue_table", "k_table", "iterations_table"),
    *("batch_size", "label_noise", "relatives", "bound_terms", "certificates_along", "minima", "spectral_posterior"),
}


def test_each_item_is_keyed_by_its_own_code():
    """No item's result depends on another item, the report or, unless it trains, on training; a command's on all."""
    from pathlib import Path

    import eigensam
    from eigensam.ground.source_code import SourceCode

    code = SourceCode(Path(eigensam.__file__).parent, "eigensam")
    home = "eigensam.paper_figures.items."
    for name, kind in ITEMS.items():
        assert kind.__module__ == home + name
        modules = code.modules(kind.__module__)
        assert [m for m in modules if m.startswith(home)] == [home + name]
        assert "eigensam.paper_figures.report" not in modules
        assert ("eigensam.optim.training.train" in modules) == (name in TRAIN)
        assert any(m.startswith("eigensam.sde.weak_order.") for m in modules) == (
            name in ("weak_order", "trained_sde", "order_table", "ablations", "critical_point")
        )
    everything = code.modules("eigensam.cli").keys()
    assert {home + name for name in ITEMS} | {"eigensam.bounds.families.theorem41"} <= everything


def test_items_are_listed_without_what_they_compute_with():
    code = (
        "import sys; import eigensam.paper_figures.commands; from eigensam.paper_figures import ITEMS, find_preset\n"
        "assert len(ITEMS) >= 6; assert len(__import__('eigensam.paper_figures').paper_figures.PRESETS) >= 2\n"
        "print([m for m in ('torch', 'matplotlib', 'scipy.stats', 'sklearn', 'jinja2') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
