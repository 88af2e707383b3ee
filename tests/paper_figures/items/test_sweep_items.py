"""Items over sweeps and contests: every number and verdict follows from the stored result, in both directions."""

import copy
import json

import pytest

from eigensam.ground.pictures import stacked_panels
from eigensam.optim import EGRSettings, EigenSAMSettings, ReverseSAMSettings, SAMSettings, SGDSettings, TrainSettings
from eigensam.paper_figures import ITEMS
from eigensam.paper_figures.contest_item import NOT_RUN
from eigensam.paper_figures.items.eigenvalue_table import PAPER

BASE = TrainSettings(data="digits", model="mlp32", epochs=2, batch_size=240)


def rows(accuracy, eigenvalue, loss):
    last = {"test_accuracy": accuracy, "lambda_1": eigenvalue, "test_loss": loss, "train_loss": loss / 10}
    return [{"epoch": 1, "test_loss": 1.0, "train_loss": 1.0}, {"epoch": 2, **last}]


def group(name, method, accuracy=0.9, eigenvalue=1.0, loss=0.1, lr=0.1):
    """Three seeds around these values."""
    rest = eigenvalue, loss
    seeds = [
        {"seed": seed, "rows": rows(accuracy + 1e-3 * seed * (1 + accuracy), *(x * (1 + seed / 100) for x in rest))}
        for seed in range(3)
    ]
    settings = {**BASE.to_dict(), "optimizer": method.to_dict(), "lr": lr}
    return {"name": name, "settings": settings, "examples": 1437, "seeds": seeds}


def k_table():
    eigen = {k: EigenSAMSettings(refresh_every=k) for k in (10, 1000)}
    return [
        group("SAM", SAMSettings()),
        group("k = 10", eigen[10], 0.95, 0.8),
        group("k = 1000", eigen[1000], 0.94, 0.9),
    ]


def figure4():
    def eigen(rho, alpha, accuracy):
        return group(f"Eigen-SAM {rho} {alpha}", EigenSAMSettings(rho=rho, alpha=alpha), accuracy)

    sam = [group(f"SAM {rho}", SAMSettings(rho=rho), 0.9) for rho in (0.05, 0.1)]
    return [*sam, eigen(0.1, 0.1, 0.92), eigen(0.1, 0.2, 0.93), eigen(0.05, 0.2, 0.91)]


def figure5():
    methods = {"SAM": SAMSettings(), "Reverse-SAM": ReverseSAMSettings(), "EGR": EGRSettings(), "SGD": SGDSettings()}
    return [group(name, each, loss=0.1 * (1 + place)) for place, (name, each) in enumerate(methods.items())]


def table(model="resnet18", data=("cifar10", "cifar100")):
    def cell(name):
        methods = {"SGD": SGDSettings(), "SAM": SAMSettings(), "Eigen-SAM": EigenSAMSettings()}
        optimizers = []
        for place, (label, method) in enumerate(methods.items()):
            choices = [{"optimizer": method.to_dict(), "lr": 0.1, "validation_accuracy": 0.9, "validation_loss": 0.1}]
            own = group(label, method, 0.9 + 0.02 * place, 8.0 * 0.8**place)
            optimizers.append({**own, "choices": choices, "chosen": 0})
        settings = {**BASE.to_dict(), "model": model, "data": name}
        return {
            "model": model,
            "data": name,
            "examples": 1437,
            "parameters": 11_000_000,
            "settings": settings,
            "validation_fraction": 0.1,
            "optimizers": optimizers,
        }

    models = ["resnet18", "resnet50"] if model == "resnet18" else [model]
    return {"models": models, "data": ["cifar10", "cifar100", "svhn"], "cells": [cell(name) for name in data]}


RESULTS = {
    "k_table": k_table,
    "figure4": figure4,
    "figure5": figure5,
    "table1": table,
    "eigenvalue_table": table,
    "table2": lambda: table("vit-b-16", ("cifar10",)),
}


@pytest.fixture(params=RESULTS)
def item(request):
    """An item, and a result as JSON holds it, in which the paper is right."""
    return ITEMS[request.param](), json.loads(json.dumps(RESULTS[request.param]()))


def words(item, result):
    return [claim.verdict.word for claim in item.claims(result)]


def groups_of(result):
    return [each for cell in result["cells"] for each in cell["optimizers"]] if "cells" in result else result


def test_good_numbers(item):
    kind, result = item
    found = kind.claims(result)
    assert found

    assert {claim.verdict.word for claim in found} == {"reproduced"}
    assert all(claim.verdict.decided_by and claim.paper for claim in found)


def test_edited_numbers_give_other_verdicts(item):
    """Everyone's numbers turned round: nothing is reproduced but what is counted and not measured."""
    kind, result = item
    for each in groups_of(result):
        for seed in each["seeds"]:
            last = seed["rows"][-1]
            last |= {"test_accuracy": 1 - last["test_accuracy"]}
            last |= {name: 1 / last[name] for name in ("lambda_1", "test_loss")}
    before = RESULTS[kind.__class__.__module__.rpartition(".")[2]]()
    counted = [claim for claim in kind.claims(result) if "counted" in claim.measured]
    assert [c.verdict.word for c in kind.claims(result) if c not in counted].count("reproduced") == 0
    assert kind.tables(result)[0].rows != kind.tables(before)[0].rows


def test_one_seed_decides_nothing(item):
    kind, result = item
    for each in groups_of(result):
        del each["seeds"][1:]
    measured = [claim for claim in kind.claims(result) if "counted" not in claim.measured]
    assert {claim.verdict.word for claim in measured} == {"not resolved here"}
    assert kind.plot(result).axes
    assert not any("nan" in text for each in kind.tables(result) for row in each.rows for text in row)


def test_failed_runs_are_named(item):
    kind, result = item
    groups_of(result)[1]["seeds"][2] = {"seed": 2, "failed": "the loss became inf"}
    assert any("seed 2: failed (the loss became inf)" in note for note in kind.notes(result))
    assert kind.plot(result).axes
    assert kind.tables(result)
    every = copy.deepcopy(result)
    for each in groups_of(every):
        each["seeds"] = [{"seed": 0, "failed": "no"}]
    assert {claim.verdict.word for claim in kind.claims(every) if "counted" not in claim.measured} == {
        "not resolved here"
    }


def test_pictures_stack(item):
    kind, result = item
    wide = kind.plot(result)
    with stacked_panels():
        stacked = kind.plot(result)
    assert len(wide.axes) == len(stacked.axes)
    assert stacked.get_size_inches()[0] < 5.7


def test_sizes_are_printed(item):
    kind, result = item
    size = kind.size()
    assert size["seeds"] == [0, 1, 2, 3, 4]
    assert kind.with_seeds(2).size()["seeds"] == [0, 1]
    assert kind.caption(result)
    assert kind.alt(result).startswith(kind.title)
    budget = " ".join(kind.notes(result))
    assert "same 1,437 examples" in budget


def test_the_table_beside_the_papers():
    kind, result = ITEMS["eigenvalue_table"](), table()
    claims = kind.claims(result)
    assert [claim.paper for claim in claims if claim.claim.startswith("Eigen-SAM")] == [
        "5 → 4.2, ratio 0.84",
        "5.7 → 4.9, ratio 0.86",
    ]
    (numbers,) = kind.tables(result)
    assert numbers.header == ["network", "optimizer", "cifar10", "cifar100", "svhn"]
    assert [row[4] for row in numbers.rows] == [NOT_RUN] * 6
    assert numbers.rows[1][2].endswith("(paper 5)")
    assert [row[2] for row in numbers.rows[3:]] == [NOT_RUN] * 3
    ratios = [round(eigen / sam, 2) for sam, eigen in PAPER.values()]
    assert ratios == [0.84, 0.86, 0.90, 0.86, 0.83, 0.82]  # as the paper has them


def test_cost_of_estimates_is_counted():
    """Five Hessian products every k steps, two gradients each and one for the graph, over two gradients a step."""
    (first, *_), (last_row, *_) = (ITEMS["k_table"]().tables(k_table())[0].rows[i : i + 1] for i in (1, 2))
    assert (first[4], last_row[4]) == ("55 %", "0.55 %")
    costly = [each for each in k_table() if each["name"] != "k = 1000"]
    assert ITEMS["k_table"]().claims(costly)[1].verdict.word == "not resolved here"  # the paper states it for k = 1000
