"""Estimates are hollow, certificates are filled, and claims are about networks after the initialisation."""

from dataclasses import replace

import pytest
from scipy.stats import beta

from eigensam.bounds.families.theorem41 import Theorem41
from eigensam.optim.methods.sam import SAMSettings
from eigensam.optim.training.settings import TrainSettings
from eigensam.paper_figures.items.certificates_along import CertificatesAlong, snapshot_sweep
from eigensam.paper_figures.resources import Resources

from .fabricated import group, texts, words

NAMES = {"sgd": "SGD", "sam": "SAM", "eigen-sam": "Eigen-SAM"}


def row(epoch, seed=0, **changed):
    found = {
        "epoch": epoch,
        "empirical": 0.1,
        "curvature": 0.2 / (1 + epoch),
        "remainder": 0.1,
        "complexity": 2.0 / (1 + epoch),
        "sum": 1.5,
        "certificate": 0.8,
        "kind": "certificate",
        "test_error": 0.02,
        "test_upper": 0.05,
        "uniform": 0.332,
        "delta": 0.01,
        **changed,
    }
    return {key: value * (1 + 0.001 * seed * epoch) if key == "curvature" else value for key, value in found.items()}


def result(seeds=3, factors=(1.0, 0.5, 0.25), **changed):
    found = []
    for (name, label), factor in zip(NAMES.items(), factors, strict=True):
        made = group(label, name, seeds=seeds)
        for run in made["seeds"]:
            run["rows"] = [row(0, sum=0.4)] + [row(epoch, run["seed"], **changed) for epoch in (1, 2)]
            for each in run["rows"]:
                each["curvature"] *= factor * (1 + 0.001 * run["seed"])
        found.append(made)
    return found


def test_both_directions():
    claims = CertificatesAlong().claims(result())
    assert words(claims)[:5] == ["reproduced"] * 5
    assert words(claims)[-2:] == ["reproduced"] * 2
    assert "6 of 6" not in claims[0].measured
    assert "18 of 18" in claims[0].measured
    other = CertificatesAlong().claims(result(factors=(0.25, 0.5, 1.0), sum=0.7))
    assert words(other)[:2] == ["not reproduced"] * 2
    assert words(other)[-2:] == ["not reproduced"] * 2


def test_a_term_that_grows():
    found = result()
    for run in found[0]["seeds"]:
        run["rows"][-1]["curvature"] = 1.0 + run["seed"] / 100
    claims = {claim.claim: claim.verdict.word for claim in CertificatesAlong().claims(found)}
    assert claims["The curvature term of SGD falls along training"] == "not reproduced"
    assert claims["The curvature term of SAM falls along training"] == "reproduced"


def test_an_edited_sum_gives_another_verdict():
    found = result()
    found[1]["seeds"][2]["rows"][-1]["sum"] = 0.25
    claim = CertificatesAlong().claims(found)[0]
    assert claim.verdict.word == "not reproduced"
    assert "17 of 18" in claim.measured
    assert "0.25" in claim.verdict.decided_by


def test_one_seed_and_failures():
    found = result(seeds=1)
    assert words(CertificatesAlong().claims(found))[:3] == ["reproduced", "reproduced", "not resolved here"]
    found[0]["seeds"] = [{"seed": 0, "failed": "diverged"}]
    claims = CertificatesAlong().claims(found)
    assert claims[2].measured == "not measured"
    assert "diverged" in CertificatesAlong().notes(found)[-1]
    CertificatesAlong().plot(found)
    assert {row[0] for row in CertificatesAlong().tables(found)[0].rows} == {"SAM", "Eigen-SAM"}


def test_vacuous_is_said():
    rows = CertificatesAlong().tables(result(certificate=0.3))[0].rows
    assert rows[0][6:8] == ["0.4, no information", "0.8, no information"]
    assert rows[1][6:8] == ["1.5, vacuous", "0.3"]


def test_an_estimate_is_not_called_proved():
    assert not any("batch norm" in note for note in CertificatesAlong().notes(result()))
    assert any("batch norm" in note for note in CertificatesAlong().notes(result(kind="estimate")))


def test_picture():
    figure = CertificatesAlong().plot(result())
    assert len(figure.axes) == 3
    for line in figure.axes[0].lines:
        if (words_of_line := line.get_label()).startswith("proved"):
            assert line.get_markerfacecolor() == line.get_color()
        elif not words_of_line.startswith("_"):
            assert line.get_markerfacecolor() == "white"
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[1].lines}
    assert lines["sum of Theorem 4.1 (estimate)"] == pytest.approx([0.4, 1.5, 1.5])
    assert "vacuous" in [text.get_text() for text in figure.axes[0].texts]


def test_a_real_run(tmp_path):
    """Every number is measured, the terms add up, and a second time nothing is computed."""
    settings = TrainSettings(subset=64, batch_size=32, epochs=1, model="mlp32", snapshot_every=1)
    effort = Theorem41(draws=4, gradients=2, probes=2, top=1, random_directions=0, max_products=4, ascents=0)
    item = CertificatesAlong(snapshot_sweep(settings, (SAMSettings(),), seeds=(0,)), effort)
    found = item.measure(Resources(tmp_path), lambda done, total: None)
    for each in found:
        (run,) = each["seeds"]
        assert [measured["epoch"] for measured in run["rows"]] == [0, 1]
        for measured in run["rows"]:
            terms = ("empirical", "curvature", "remainder", "complexity")
            assert measured["sum"] == pytest.approx(sum(measured[key] for key in terms))
            assert measured["empirical"] < measured["certificate"] <= 1
            assert measured["test_error"] < measured["test_upper"] <= 1
            assert measured["kind"] == "certificate"
            assert measured["delta"] == pytest.approx(0.05 / 4)
    assert "nan" not in texts(item.tables(found)[0])
    folder = tmp_path / "runs" / "certificates_along"
    (kept,) = folder.iterdir()
    before = kept.stat().st_mtime_ns
    assert item.measure(Resources(tmp_path), lambda done, total: None) == found
    assert kept.stat().st_mtime_ns == before
    # Two more truths: the bound along training that `eigensam bound --along` has, and scipy's beta distribution.
    twin = replace(effort, delta=0.05 / 4, along=True).bound(tmp_path / "runs" / kept.stem).along
    for measured, other in zip(found[0]["seeds"][0]["rows"], twin, strict=True):
        for key in ("sum", "sigma", "lambda_1", "distance"):
            assert measured[key] == pytest.approx(other[key], rel=1e-10)
        errors = round(360 * measured["test_error"])
        assert measured["test_upper"] == pytest.approx(beta.ppf(1 - 0.05 / 4, errors + 1, 360 - errors), rel=1e-8)


def test_runs_without_snapshots_fail_alone(tmp_path):
    settings = TrainSettings(subset=64, batch_size=64, epochs=1, model="mlp32")
    item = CertificatesAlong(snapshot_sweep(settings, seeds=(0,)), Theorem41(draws=4))
    found = item.measure(Resources(tmp_path), lambda done, total: None)
    assert all("snapshot_every" in each["seeds"][0]["failed"] for each in found)
    assert item.size()["bounds"].startswith("delta 0.05")
    assert item.key(Resources(tmp_path))["effort"]["draws"] == 4
