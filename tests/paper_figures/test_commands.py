"""``eigensam figures`` from end to end, on a preset small enough for a test."""

import dataclasses
import json
import re

import matplotlib.image
import pytest
import torch

from eigensam.ground import through_json
from eigensam.landscapes import load_data
from eigensam.optim import read_metrics
from eigensam.paper_figures import bound_terms, figure1, presets

TINY = dataclasses.replace(
    presets.PRESETS["quick"],
    name="tiny",
    training=dataclasses.replace(presets.PRESETS["quick"].training, epochs=2, spectrum_every=1, batch_size=256),
    seeds=(0, 1, 2),
    etas=(0.125, 0.0625, 0.03125),
    rho_exponents=("1/3",),
)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(presets.PRESETS, "tiny", TINY)


def test_figures(cli, tiny, tmp_path, monkeypatch):
    out = tmp_path / "out"
    outcome = cli("figures", "--preset", "tiny", "--out", out, "--jobs", 1, "--json", tmp_path / "f.json")
    assert outcome.code == 0, outcome
    assert f"wrote {out / 'report.html'}" in outcome.out

    for name in ("weak_order", "figure1", "bound_terms"):
        assert json.loads((out / f"{name}.json").read_text())["result"]
        assert matplotlib.image.imread(out / f"{name}.png").std() > 0.05  # not an empty canvas
        assert (out / f"{name}.svg").is_file()
        assert (out / f"{name}.pdf").is_file()
    metrics = json.loads((out / "figure1.json").read_text())["result"]
    assert {name: len(runs) for name, runs in metrics.items()} == {"sgd": 3, "sam": 3, "eigen-sam": 3}
    runs = sorted(out.glob("runs/*"))
    assert len(runs) == 9
    assert read_metrics(next(r for r in runs if r.name.startswith("sam-seed1"))) == metrics["sam"][1]

    html = (out / "report.html").read_text()
    assert html.count("data:image/svg+xml;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:)', html)  # self-contained
    rows = json.loads((tmp_path / "f.json").read_text())["comparisons"]
    for row in rows:
        assert row["verdict"] in html
        assert row["measured"].split(" (")[0] in html
    bounds = json.loads((out / "bound_terms.json").read_text())["result"]
    assert f"{bounds['sam']['bound']:.3g}" in html
    assert "vacuous" in html

    for name, dtype in (("weak_order", "float64"), ("figure1", "float32"), ("bound_terms", "float64")):
        made_with = json.loads((out / f"{name}.json").read_text())["made_with"]
        assert (made_with["dtype"], made_with["device"], made_with["threads"]) == (dtype, "cpu", 1)
        assert json.loads((tmp_path / "f.json").read_text())["measured_with"][name] == made_with
        assert made_with["code"] in html
    assert "Not everything was measured with the same" not in html
    assert json.loads((tmp_path / "f.json").read_text())["made_with"]["torch"] == made_with["torch"]

    # A second run measures nothing: the same report, byte for byte, without a training
    monkeypatch.setattr("eigensam.paper_figures.figure1.train", lambda *_, **__: pytest.fail("trained again"))
    assert cli("figures", "--preset", "tiny", "--out", out).code == 0
    assert (out / "report.html").read_text() == html

    # The report says what measured, not what plots
    path = out / "bound_terms.json"
    path.write_text(path.read_text().replace(f'"torch": "{made_with["torch"]}"', '"torch": "1.2.3"'))
    assert cli("figures", "--preset", "tiny", "--out", out).code == 0
    html = (out / "report.html").read_text()
    assert "Not everything was measured with the same" in html
    assert re.search(r"torch: .* \(weak order\), .* \(Figure 1\), 1.2.3 \(Theorem 4.1\)", html)

    # The bounds do not depend on the threads of the process that asks, to the last bit
    runs = figure1.run_directories(TINY, data := load_data("digits"), out, "cpu")
    assert {path.name for path in runs.values()} == {path.name for path in out.glob("runs/*")}
    sam = {settings: path for settings, path in runs.items() if settings.optimizer == "sam"}
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    again = bound_terms.measure(sam, data, jobs=2, device="cpu", progress=lambda: None)
    assert figure1.run_directories(TINY, data, out, "cpu") == runs
    torch.set_num_threads(threads)
    assert through_json(again) == {"sam": bounds["sam"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "full"], "unknown preset 'full'; choose one of: quick, paper"),
        (["--preset", "paper"], "give --data-root FOLDER"),
        (["--jobs", -1], "jobs = -1"),
        (["--device", "tpu9"], "no usable device 'tpu9'"),
    ],
)
def test_refusals(refused, tmp_path, options, message):
    assert message in refused("figures", "--out", tmp_path / "out", *options)
    assert list(tmp_path.iterdir()) == []


def test_out_is_a_file(refused, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert "is a file; choose another --out" in refused("figures", "--out", tmp_path / "out")
