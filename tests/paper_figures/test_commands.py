"""``eigensam figures`` from end to end, on a preset small enough for a test, measured once."""

import dataclasses
import html
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
from eigensam.paper_figures import PRESETS, Preset, Resources, Trainings, training_runs, used_data
from eigensam.paper_figures.items.bound_terms import BoundTerms
from eigensam.paper_figures.items.figure1 import Figure1
from eigensam.paper_figures.items.weak_order import WeakOrder
from eigensam.paper_figures.run_figures import Request, run_figures

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
        for module in (used_data, training_runs):
            patch.setattr(module, "load_data", lambda *_, **__: dataclasses.replace(whole, **few))
        yield TINY


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """One whole run. Read-only."""
    folder = tmp_path_factory.mktemp("figures")
    assert run_figures(Request("tiny"), Resources(folder / "out", 1, "cpu"), folder / "f.json")
    text = (folder / "out" / "report.html").read_text()
    return Run(folder / "out", json.loads((folder / "f.json").read_text()), text)


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
    (path,) = [each for each in runs if each.name.startswith("sam-seed1")]
    kept = read_metrics(path)
    assert all("seconds" in row for row in kept)  # equal runs give equal results, so clocks are left out
    assert metrics["sam"][1] == [{name: row[name] for name in row if "seconds" not in name} for row in kept]
    assert {path.name for path in TRAININGS.directories(Resources(run.out)).values()} == {path.name for path in runs}


def test_the_report_holds_every_claim(run):
    assert run.html.count("data:image/svg+xml;base64,") == 2 * 3  # wide, and stacked for narrow screens
    assert not re.search(r'(src|srcset)="(?!data:)', run.html)  # self-contained
    links = re.findall(r'href="([^#"]+)"', run.html)
    assert all((run.out / link).is_file() for link in links)
    assert {f"{name}.json" for name in NAMES} <= set(links)
    rows = run.result["comparisons"]
    assert len(rows) == 6
    for row in rows:
        assert row["verdict"] in run.html
        assert row["decided_by"]
        assert html.escape(row["measured"].split(" (")[0], quote=False) in html.unescape(run.html)
    bounds = _record(run, "bound_terms")["result"]
    assert f"{bounds['sam']['bound']:.3g}" in run.html
    assert "vacuous" in run.html
    for item in TINY.items.values():
        assert f">{item.title}</a></h2>" in run.html
    assert re.search(r"epochs</th>\s*<td>1<", run.html)


def test_the_page_says_what_the_report_says(run):
    page = (run.out / "report.md").read_text()
    for row in run.result["comparisons"]:
        cells = [row[name].replace("|", "\\|") for name in ("claim", "paper", "measured", "verdict", "decided_by")]
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
    monkeypatch.setattr(training_runs, "train", lambda *_, **__: pytest.fail("trained again"))
    outcome = cli("figures", "--preset", "tiny", "--out", out, "--jobs", 1, "--device", "cpu")
    assert outcome.code == 0, outcome
    assert f"wrote {out / 'report.html'}, {out / 'report.md'}" in outcome.out
    assert all(f"{row['verdict']}: {row['claim']}" in outcome.out for row in run.result["comparisons"])
    assert (out / "report.html").read_text() == run.html

    path = out / "bound_terms.json"
    version = _record(run, "bound_terms")["made_with"]["torch"]
    path.write_text(path.read_text().replace(f'"torch": "{version}"', '"torch": "1.2.3"'))
    assert run_figures(Request("tiny"), Resources(out, 1, "cpu"), None)
    text = (out / "report.html").read_text()
    assert "Not everything was measured with the same" in text
    assert re.search(r"torch: .*1.2.3 \(Theorem 4.1\)", text)


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
    monkeypatch.setattr(training_runs, "train", lambda *_, **__: pytest.fail("trained again"))
    outcome = cli("figures", "--preset", "alone", "--out", tmp_path / "out", "--jobs", 1, "--device", "cpu")
    assert outcome.code == 0, outcome
    assert "not resolved here" in outcome.out
    assert "one seed: no interval" in outcome.out
    text = (tmp_path / "out" / "report.html").read_text()
    assert text.count("one seed: no interval") >= 4
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", text.partition("<script>")[0]))


def _copy(run, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(run.out, out)
    return out


def test_plotting_from_json_shows_what_was_edited(cli, run, tmp_path, monkeypatch):
    """A ratio that is edited gives another table, picture and verdict, and trains nothing."""
    out = _copy(run, tmp_path)
    monkeypatch.setattr(training_runs, "train", lambda *_, **__: pytest.fail("trained"))
    monkeypatch.setattr(Figure1, "measure", lambda *_: pytest.fail("measured"))
    record = json.loads((out / "figure1.json").read_text())
    for seed, rows in enumerate(record["result"]["eigen-sam"]):
        rows[-1]["lambda_1"] = (7 + 0.01 * seed) * record["result"]["sam"][seed][-1]["lambda_1"]
    (out / "figure1.json").write_text(json.dumps(record))
    before = (out / "figure1.svg").read_bytes()
    outcome = cli("figures", "figure1", "--preset", "tiny", "--from-json", "--out", out, "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome
    (row,) = [
        each
        for each in json.loads((tmp_path / "a.json").read_text())["comparisons"]
        if each["claim"].startswith("Eigen-SAM")
    ]
    assert row["measured"].startswith("ratio 7.005")
    assert row["verdict"] == "not reproduced"
    text = (out / "report.html").read_text()
    assert "7.005" in text
    assert "Edited by hand" in text
    assert (out / "figure1.svg").read_bytes() != before
    assert "Edited by hand" not in run.html
    # to measure is refused: the file is not what was measured
    outcome = cli("figures", "figure1", "--preset", "tiny", "--out", out, "--jobs", 1, "--device", "cpu")
    assert outcome.code == 1
    assert "FAILED figure1" in outcome.out
    assert "was changed after it was measured" in outcome.out


def test_results_of_older_code_are_plotted(cli, run, tmp_path):
    out = _copy(run, tmp_path)
    path = out / "weak_order.json"
    record = json.loads(path.read_text()) | {"fingerprint": "of other code"}
    path.write_text(json.dumps(record))
    outcome = cli("figures", "--preset", "tiny", "--from-json", "--out", out)
    assert outcome.code == 0, outcome
    assert "Edited by hand" not in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "is no result of a measurement"),
        ("foreign", "is a result of eigensam.paper_figures.items.figure1.Figure1, not of"),
        ("other", "does not have the form of one of 'bound_terms'"),
        ("", "is not JSON"),
    ],
)
def test_a_damaged_or_foreign_result_leaves_the_others(cli, run, tmp_path, content, message):
    out = _copy(run, tmp_path)
    if content == "foreign":
        content = (out / "figure1.json").read_text()
    elif content == "other":
        content = json.dumps(_record(run, "bound_terms") | {"result": [1, 2, 3]})
    (out / "bound_terms.json").write_text(content)
    outcome = cli("figures", "--preset", "tiny", "--from-json", "--out", out, "--json", tmp_path / "a.json")
    assert outcome.code == 1
    assert "Traceback" not in outcome.out + outcome.err
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found["failed"]) == ["bound_terms"]
    assert message in found["failed"]["bound_terms"]
    assert len(found["comparisons"]) == len(run.result["comparisons"]) - 1
    text = (out / "report.html").read_text()
    assert "This was not measured" in text
    assert html.escape(message, quote=False).split("'")[0] in html.unescape(text)


def test_an_item_that_fails_leaves_the_others(cli, run, tmp_path, monkeypatch):
    """Also by an error that nobody thought of; the next call measures it."""
    out = _copy(run, tmp_path)
    (out / "weak_order.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(WeakOrder, "measure", lambda *_: 1 / 0)
        outcome = cli("figures", "--preset", "tiny", "--out", out, "--jobs", 1, "--device", "cpu")
    assert outcome.code == 1
    assert "FAILED weak_order: ZeroDivisionError: division by zero" in outcome.out
    assert "SAM ends with a smaller top eigenvalue" in outcome.out
    assert not (out / "weak_order.json").exists()


def test_a_missing_result_is_named(cli, run, tmp_path):
    out = _copy(run, tmp_path)
    (out / "figure1.json").unlink()
    outcome = cli("figures", "figure1", "weak_order", "--preset", "tiny", "--from-json", "--out", out)
    assert outcome.code == 1
    assert "is not there; measure it first, without --from-json" in outcome.out


def test_a_result_with_a_hole_is_reported_and_tried_again(cli, tmp_path, monkeypatch):
    """One of two groups fails: exit code 1, the other is shown; the next call tries it again, and is whole."""
    from eigensam.paper_figures.items.k_table import KTable
    from eigensam.paper_figures.sweep import Sweep

    short = dataclasses.replace(SETTINGS, model="mlp32", spectrum_every=0)
    groups = {
        "SAM": dataclasses.replace(short, optimizer=SAMSettings()),
        "k = 9": dataclasses.replace(short, optimizer="eigen-sam"),
    }
    preset = Preset("hole", {"k_table": KTable(Sweep.over(groups, seeds=(0, 1)))})
    monkeypatch.setitem(PRESETS._entries, "hole", (1.0, lambda: preset))
    train = training_runs.train

    def failing(settings, *args, **kwargs):
        if settings.method.name == "eigen-sam" and settings.seed == 1:
            raise MemoryError("nothing left")
        return train(settings, *args, **kwargs)

    args = ("figures", "--preset", "hole", "--out", tmp_path / "out", "--jobs", 1, "--device", "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(training_runs, "train", failing)
        outcome = cli(*args)
    assert outcome.code == 1
    assert "FAILED k_table: k = 9, seed 1: failed (MemoryError: nothing left)" in outcome.out
    assert "Not all of it was measured" in (tmp_path / "out" / "report.html").read_text()
    again = cli(*args)
    assert again.code == 0, again
    assert "Not all of it was measured" not in (tmp_path / "out" / "report.html").read_text()


def test_the_report_names_the_preset_of_its_results(cli, run, tmp_path):
    out = _copy(run, tmp_path)
    assert cli("figures", "--from-json", "--preset", "quick", "figure1", "--out", out).code == 0
    assert "<b>tiny</b>" in (out / "report.html").read_text()
