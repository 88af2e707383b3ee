"""A fair comparison: equal choices, chosen by validation, compared on other seeds."""

from dataclasses import replace

import pytest

from eigensam.ground.errors import InputError
from eigensam.landscapes import read_metrics
from eigensam.optim import SAMSettings, SGDSettings, TrainSettings
from eigensam.paper_figures import Resources
from eigensam.paper_figures.contest import Competitor, Contest
from eigensam.paper_figures.contest_item import NOT_RUN, choices_table, grid
from eigensam.paper_figures.contests import contest
from eigensam.paper_figures.training_runs import measured_rows, run_directories

SHORT = TrainSettings(data="digits", model="mlp32", epochs=1, batch_size=160)
SGD = Competitor("SGD", ((SGDSettings(), 1e-4), (SGDSettings(), 0.1), (SGDSettings(), 1e30)))
SAM = Competitor("SAM", ((SAMSettings(rho=0.05), 0.1), (SAMSettings(rho=0.1), 0.1), (SAMSettings(rho=0.2), 0.1)))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """One contest, run. Read-only."""
    resources = Resources(tmp_path_factory.mktemp("contest"))
    rules = Contest(SHORT, (SGD, SAM), seeds=(0, 1))
    return rules, resources, rules.measure(resources, lambda *_: None)


def test_the_best_validation_accuracy_is_taken(found):
    rules, resources, result = found
    sgd, sam = result["optimizers"]
    assert sgd["chosen"] == 1  # 1e-4 learns nothing in an epoch, 1e30 diverges
    assert "the loss became" in sgd["choices"][2]["failed"]
    accuracies = [each["validation_accuracy"] for each in sam["choices"]]
    assert accuracies[sam["chosen"]] == max(accuracies)
    paths = run_directories(rules.tuning(SAM), resources)
    again = [read_metrics(path)[-1]["validation_accuracy"] for path in paths.values()]
    assert accuracies == again


def test_what_is_compared_was_not_used_to_choose(found):
    rules, resources, result = found
    (tuned,) = {run.seed for run in rules.tuning(SGD)}
    assert tuned not in rules.seeds
    assert all(run.validation_fraction == 0.1 for run in rules.tuning(SGD))
    chosen = rules.compared(SGD, 1)
    assert all(run.validation_fraction == 0 and run.lr == 0.1 for run in chosen)
    assert [each["rows"] for each in result["optimizers"][0]["seeds"]] == [
        measured_rows(path)[-1:] for path in run_directories(chosen, resources).values()
    ]
    assert result["examples"] == 1437


def test_plans_count_what_will_be_trained(found, tmp_path):
    rules, resources, _ = found
    assert [run.done for run in rules.planned(resources)] == [True, True, False, *[True] * 2, *[True] * 3, *[True] * 2]
    assert sum(run.done for run in rules.planned(Resources(tmp_path))) == 0
    assert len(rules.planned(Resources(tmp_path))) == 2 * (3 + 2)


def test_nothing_to_choose_means_no_tuning():
    alone = Contest(SHORT, (Competitor("SGD", ((SGDSettings(), 0.1),)),))
    assert alone.tuning(alone.competitors[0]) == []


@pytest.mark.parametrize(
    ("competitors", "seeds", "message"),
    [
        ((SGD, Competitor("SAM", SAM.choices[:2])), (0,), "gives each optimizer equally many"),
        ((SGD, SGD), (0,), "each once"),
        ((), (0,), "at least one of both"),
        ((SGD,), (0, 0), "each once"),
    ],
)
def test_unfair_comparisons_are_refused(competitors, seeds, message):
    with pytest.raises(InputError, match=message):
        Contest(SHORT, competitors, seeds)


def test_everybody_diverging_is_an_error(tmp_path):
    wild = Competitor("SGD", ((SGDSettings(), 1e30), (SGDSettings(), 1e29)))
    with pytest.raises(InputError, match="every choice of SGD failed"):
        Contest(SHORT, (wild,), seeds=(0,)).measure(Resources(tmp_path), lambda *_: None)


def test_cells_that_are_not_run_say_so(found):
    _, _, cell = found
    result = {"models": ["resnet18", "mlp32"], "data": ["cifar10", "digits"], "cells": [cell]}
    rows = grid(result, lambda cell, name: f"{cell['model']} {name}")
    assert rows == [
        ["resnet18", "SGD", NOT_RUN, NOT_RUN],
        ["resnet18", "SAM", NOT_RUN, NOT_RUN],
        ["mlp32", "SGD", NOT_RUN, "mlp32 SGD"],
        ["mlp32", "SAM", NOT_RUN, "mlp32 SAM"],
    ]
    table = choices_table(result)
    assert [row[-1] for row in table.rows].count("chosen") == 2
    assert any("failed" in row for row in table.rows)


def test_the_papers_optimizers_have_equal_choices():
    rules = contest(replace(SHORT, lr=0.1))
    assert rules.choices == 3
    assert [[(lr, *_own(method)) for method, lr in each.choices] for each in rules.competitors] == [
        [(0.05,), (0.1,), (0.2,)],
        [(0.1, 0.05), (0.1, 0.1), (0.1, 0.2)],
        [(0.1, 0.1, 0.05), (0.1, 0.1, 0.1), (0.1, 0.1, 0.2)],
    ]


def _own(method):
    found = method.to_dict()
    return tuple(found[name] for name in ("rho", "alpha") if name in found)


def test_a_competitor_that_comes_after_another_takes_its_radius(tmp_path):
    """So that the two differ in nothing but the method; wrong on purpose: a radius of its own is not used."""
    from eigensam.optim import EigenSAMSettings

    own = EigenSAMSettings(rho=0.7, refresh_every=5)
    eigen = Competitor("Eigen-SAM", tuple((replace(own, alpha=alpha), 9.0) for alpha in (0.1, 0.2, 0.3)), "SAM")
    rules = Contest(SHORT, (SAM, eigen), seeds=(0,))
    resources = Resources(tmp_path)
    keys = rules.key(resources)
    sam, after = rules.measure(resources, lambda *_: None)["optimizers"]
    radius = sam["choices"][sam["chosen"]]["optimizer"]["rho"]
    assert {each["optimizer"]["rho"] for each in after["choices"]} == {radius}
    assert {each["lr"] for each in after["choices"]} == {0.1}
    assert after["settings"]["optimizer"]["rho"] == radius
    assert [run.done for run in rules.planned(resources)] == [True] * 8
    made = {path.name for path in (tmp_path / "runs").iterdir()}
    assert made < {name for names in keys.values() for name in names}  # nothing that the key did not foresee


@pytest.mark.parametrize("order", [("Eigen-SAM", "SAM"), ("SAM", "nobody")])
def test_what_comes_after_must_come_after(order):
    competitors = {"SAM": SAM, "Eigen-SAM": Competitor("Eigen-SAM", SAM.choices, "SAM")}
    competitors["nobody"] = Competitor("Eigen-SAM", SAM.choices, "nobody")
    with pytest.raises(InputError, match="is none that comes before"):
        Contest(SHORT, tuple(competitors[name] for name in order))


def test_a_cell_that_fails_leaves_the_others(tmp_path):
    from eigensam.paper_figures.items.table1 import Table1

    wild = Competitor("SGD", tuple((SGDSettings(), lr) for lr in (1e30, 1e29, 1e28)))
    bad = Contest(replace(SHORT, model="linear"), (wild,), seeds=(0,))
    item = Table1((bad, Contest(SHORT, (SGD, SAM), seeds=(0, 1))))
    result = item.measure(Resources(tmp_path), lambda *_: None)
    (reason,) = item.failures(result)
    assert reason.startswith("linear, digits: failed (every choice of SGD failed")
    table = item.tables(result)[0]
    assert [row[:2] for row in table.rows if "failed" in row] == [["linear", "SGD"], ["linear", "SAM"]]
    assert len(item.claims(result)) == 1
    assert item.plot(result).axes
    assert reason in item.notes(result)
