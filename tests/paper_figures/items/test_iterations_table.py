"""As good as: the interval lies within the margin, and SAM without any estimate does not."""

import pytest

from eigensam.optim.methods.eigen_sam import EigenSAMSettings
from eigensam.optim.training.settings import TrainSettings
from eigensam.paper_figures.items.iterations_table import IterationsTable, iterations_sweep

from .fabricated import group, labels, texts, words


def result(accuracies, sam=0.6, seeds=3, spread=0.001):
    """Accuracies by p and k."""
    found = [group("SAM", "sam", seeds=seeds, spread=spread, test_accuracy=sam, lambda_1=1.0)]
    for (p, k), accuracy in accuracies.items():
        method = EigenSAMSettings(iterations=p, refresh_every=k)
        metrics = {"test_accuracy": accuracy, "lambda_1": 0.9}
        found.append(group(f"p = {p}, k = {k}", method, seeds=seeds, spread=spread, **metrics))
    return found


def test_equivalence_in_both_directions():
    assert words(IterationsTable().claims(result({(1, 10): 0.6, (5, 10): 0.7, (20, 10): 0.701}))) == [
        "not reproduced",
        "reproduced",
    ]


def test_a_margin_that_sam_is_within_says_nothing():
    """Wrong on purpose: an equivalence of things that are all alike is no merit of five products."""
    (claim,) = IterationsTable().claims(result({(5, 10): 0.6, (20, 10): 0.601}))
    assert claim.verdict.word == "not resolved here"
    assert "so is SAM" in claim.verdict.decided_by


def test_wide_intervals_decide_nothing():
    found = result({(5, 10): 0.7, (20, 10): 0.7})
    for seed, run in enumerate(found[1]["seeds"]):
        run["rows"][-1]["test_accuracy"] += (0.01, -0.01, 0.0)[seed]
    (claim,) = IterationsTable().claims(found)
    assert claim.verdict.word == "not resolved here"
    assert "neither within nor outside" in claim.verdict.decided_by


def test_an_edited_number_gives_another_verdict():
    found = result({(5, 10): 0.7, (20, 10): 0.7})
    assert words(IterationsTable().claims(found)) == ["reproduced"]
    for run in found[1]["seeds"]:
        run["rows"][-1]["test_accuracy"] -= 0.1
    assert words(IterationsTable().claims(found)) == ["not reproduced"]
    assert "-10" in texts(IterationsTable().tables(result({(5, 10): 0.5}))[0])


def test_one_seed_failures_and_missing_keys():
    cells = {(5, 10): 0.7, (20, 10): 0.7}
    assert words(IterationsTable().claims(result(cells, seeds=1))) == ["not resolved here"]
    found = result(cells)
    found[1]["seeds"] = [{"seed": 0, "failed": "diverged"}]
    assert words(IterationsTable().claims(found)) == ["not resolved here"]
    assert "diverged" in IterationsTable().notes(found)[-1]
    IterationsTable().plot(found)
    for each in found:
        for run in each["seeds"]:
            run.get("rows", [{}])[-1].pop("test_accuracy", None)
    assert words(IterationsTable().claims(found)) == ["not resolved here"]
    assert IterationsTable().notes(found)[0] == "No guideline: no cell was measured."


def test_guideline():
    cells = {(1, 10): 0.6, (5, 10): 0.7, (5, 100): 0.699, (20, 100): 0.7005}
    said = IterationsTable().notes(result(cells))[0]
    assert "p = 5, k = 100 is the cheapest" in said
    assert "at 5.5 % more gradients" in said
    assert "resolved to be better" in said
    cells[5, 100] = 0.6
    assert "p = 20, k = 100 is the cheapest" in IterationsTable().notes(result(cells))[0]
    assert "Not even the best" in IterationsTable().notes(result(cells, sam=0.8))[0]


def test_picture_and_costs():
    found = result({(5, 10): 0.7, (5, 100): 0.65, (20, 10): 0.7, (20, 100): 0.7})
    axes = IterationsTable().plot(found).axes
    assert sorted(labels(axes[0])) == ["SAM", "p = 20", "p = 5"]
    assert list(axes[1].containers[0][0].get_ydata()) == pytest.approx([0.9, 0.9], rel=0.01)
    assert [row[-1] for row in IterationsTable().tables(found)[0].rows] == ["0 %", "55 %", "5.5 %", "205 %", "20 %"]


def test_sweep():
    methods = [run.method for run in iterations_sweep(TrainSettings(), (1, 5), (10,), seeds=(0,)).runs()]
    assert [(m.iterations, m.refresh_every, m.solver) for m in methods[1:]] == [(1, 10, "power"), (5, 10, "power")]
