"""``eigensam figures`` from end to end, on a preset small enough for a test, measured once."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import matplotlib.image
import pytest
import torch

from eigensam.ground import through_json
from eigensam.landscapes import load_data, read_metrics
from eigensam.optim import SAMSettings, TrainSettings
from eigensam.paper_figures import PRESETS, Preset, Resources, Trainings, trainings
from eigensam.paper_figures.items.bound_terms import BoundTerms
from eigensam.paper_figures.items.figure1 import Figure1
from eigensam.paper_figures.items.weak_order import WeakOrder
from eigensam.paper_figures.measuring import measure_items
from eigensam.paper_figures.report import write_report
from eigensam.paper_figures.run_figures import run_figures

SETTINGS = TrainSettings(data="digits", model="mlp", epochs=1, spectrum_every=1, batch_size=120)
TRAININGS = Trainings(SETTINGS, seeds=(0, 1))
SAM = Trainings(SETTINGS, seeds=(0,), optimizers=(SAMSettings(),))  # one of these runs: a bound takes seconds
TINY = Preset(
    "tiny",
    {
        "weak_order": WeakOrder(etas=(0.125, 0.0625, 0.03125), rho_exponents=("1/3",)),
        "figure1": Figure1(TRAININGS),
        "bound_terms": BoundTerms(SAM),
    },
)
NAMES = tuple(TINY.items)


class Run(NamedTuple):
    out: Path
    result: dict
    html: str


@pytest.fixture(scope="module")
def tiny():
    """The preset, on a sixth of digits: a bound takes half a second then."""
    whole = load_data("digits")
    few = {name: getattr(whole, name)[:240] for name in ("train_inputs", "train_targets")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS._entries, "tiny", (1.0, lambda: TINY))
        patch.setattr(trainings, "load_data", lambda *_, **__: dataclasses.replace(whole, **few))
        yield TINY


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """One whole run. Read-only."""
    folder = tmp_path_factory.mktemp("figures")
    run_figures("tiny", [], Resources(folder / "out", 1, "cpu"), folder / "f.json")
    html = (folder / "out" / "report.html").read_text()
    return Run(folder / "out", json.loads((folder / "f.json").read_text()), html)


def _record(run, name):
    return json.loads((run.out / f"{name}.json").read_text())


def test_results_and_pictures(run):
    for name in NAMES:
        assert _record(run, name)["result"]
        assert matplotlib.image.imread(run.out / f"{name}.png").std() > 0.05  # not an empty canvas
        assert (run.out / f"{name}.svg").is_file()
        assert (run.out / f"{name}.pdf").is_file()
    metrics = _record(run, "figure1")["result"]
    assert {name: len(runs) for name, runs in metrics.items()} == {"sgd": 2, "sam": 2, "eigen-sam": 2}
    runs = sorted(run.out.glob("runs/*"))
    assert len(runs) == 6
    assert read_metrics(next(r for r in runs if r.name.startswith("sam-seed1"))) == metrics["sam"][1]
    assert {path.name for path in TRAININGS.directories(Resources(run.out)).values()} == {path.name for path in runs}


def test_the_report_holds_every_claim(run):
    assert run.html.count("data:image/svg+xml;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:)', run.html)  # self-contained
    rows = run.result["comparisons"]
    assert len(rows) == 6
    for row in rows:
        assert row["verdict"] in run.html
        assert row["measured"].split(" (")[0] in run.html
    bounds = _record(run, "bound_terms")["result"]
    assert f"{bounds['sam']['bound']:.3g}" in run.html
    assert "vacuous" in run.html
    for item in TINY.items.values():
        assert f"<h2>{item.title}</h2>" in run.html
    assert "epochs</td><td>1<" in run.html


def test_the_page_says_what_the_report_says(run):
    page = (run.out / "report.md").read_text()
    for row in run.result["comparisons"]:
        cells = [row[name].replace("|", "\\|") for name in ("claim", "paper", "measured", "verdict")]
        assert f"| {' | '.join(cells)} |" in page
    for name, item in TINY.items.items():
        result = _record(run, name)["result"]
        assert f"# {item.title}\n" in page
        assert f"]({name}.png)" in page
        assert all(sentence in page for sentence in (item.caption(result), *item.notes(result)))
        for table in item.tables(result):
            assert table.note in page
            widths = {len(re.split(r"(?<!\\)\|", line)) for line in _lines_of(page, table)}
            assert widths == {len(table.header) + 2}


def _lines_of(page, table):
    """The rows of a table, its two lines of header before them."""
    lines = page.splitlines()
    rows = [f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in table.rows]
    first = lines.index(rows[0])
    assert lines[first : first + len(rows)] == rows
    return lines[first - 2 : first + len(rows)]


def test_what_it_was_made_with(run):
    for name, dtype in (("weak_order", "float64"), ("figure1", "float32"), ("bound_terms", "float64")):
        made_with = _record(run, name)["made_with"]
        assert (made_with["dtype"], made_with["device"], made_with["threads"]) == (dtype, "cpu", 1)
        assert run.result["measured_with"][name] == made_with
        assert made_with["code"] in run.html
        assert run.result["made_with"]["torch"] == made_with["torch"]
    assert "Not everything was measured with the same" not in run.html


def test_a_second_run_measures_nothing(cli, run, tmp_path, monkeypatch):
    """The same report, byte for byte, without a training; what measured is said, not what plots."""
    out = tmp_path / "out"
    shutil.copytree(run.out, out)
    (out / "report.html").unlink()
    monkeypatch.setattr(trainings, "train", lambda *_, **__: pytest.fail("trained again"))
    outcome = cli("figures", "--preset", "tiny", "--out", out, "--jobs", 1, "--device", "cpu")
    assert outcome.code == 0, outcome
    assert f"wrote {out / 'report.html'}, {out / 'report.md'}" in outcome.out
    assert all(f"{row['verdict']}: {row['claim']}" in outcome.out for row in run.result["comparisons"])
    assert (out / "report.html").read_text() == run.html

    path = out / "bound_terms.json"
    version = _record(run, "bound_terms")["made_with"]["torch"]
    path.write_text(path.read_text().replace(f'"torch": "{version}"', '"torch": "1.2.3"'))
    found = measure_items(TINY.items, Resources(out, 1, "cpu"))
    write_report(out / "report.html", TINY, TINY.items, found, {name: out / f"{name}.svg" for name in NAMES})
    html = (out / "report.html").read_text()
    assert "Not everything was measured with the same" in html
    assert re.search(r"torch: .* \(weak order\), .* \(Figure 1\), 1.2.3 \(Theorem 4.1\)", html)


def test_bounds_do_not_depend_on_threads(run):
    """Of the process that asks, to the last bit: in workers, and with another number of threads here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = BoundTerms(SAM).measure(Resources(run.out, jobs=2), lambda done, total: None)
        assert set(SAM.directories(Resources(run.out)).values()) < set(run.out.glob("runs/*"))
    finally:
        torch.set_num_threads(threads)
    assert through_json(again) == {"sam": _record(run, "bound_terms")["result"]["sam"]}


def test_one_seed_is_reported_without_an_interval(cli, run, tmp_path, monkeypatch):
    """A preset with one seed works; the report says what it does not know."""
    shutil.copytree(run.out / "runs", tmp_path / "out" / "runs")
    item = Figure1(Trainings(SETTINGS, seeds=(0,)))
    monkeypatch.setitem(PRESETS._entries, "alone", (1.0, lambda: Preset("alone", {"figure1": item})))
    monkeypatch.setattr(trainings, "train", lambda *_, **__: pytest.fail("trained again"))
    outcome = cli("figures", "--preset", "alone", "--out", tmp_path / "out", "--jobs", 1, "--device", "cpu")
    assert outcome.code == 0, outcome
    assert "not resolved: one seed: no interval" in outcome.out
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("one seed: no interval") >= 4
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", html))
