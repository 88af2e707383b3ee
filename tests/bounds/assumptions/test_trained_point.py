"""Gap and gradients at the trained point: against dense derivatives and plain loops."""

import json

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.bounds import AssumptionSettings, check_assumptions
from eigensam.bounds.assumptions import subject
from eigensam.bounds.assumptions.trained_point import gap_rows, gradient_rows
from eigensam.ground import InputError


def tiny():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.AvgPool1d(16), nn.Linear(4, 10))


def test_gap_against_the_dense_hessian(subject_of):
    looked = subject_of(tiny(), effort=AssumptionSettings(examples=64, max_products=100))
    row = gap_rows(looked)[0]
    f = looked.landscape
    values = torch.linalg.eigvalsh(torch.autograd.functional.hessian(f.loss, f.point()))
    assert row.verdict == "holds"
    assert row.numbers["lambda_1"] == pytest.approx(float(values[-1]), rel=1e-5)
    assert row.numbers["lambda_2"] == pytest.approx(float(values[-2]), rel=1e-5)
    assert 0 < row.numbers["gap_lower"] <= float(values[-1] - values[-2])


def test_equal_eigenvalues_are_not_decided(subject_of, digits):
    """Two parameters that enter alike, by symmetry of the classes: lambda_1 is repeated at w = 0."""
    model = nn.Sequential(nn.Flatten(), nn.AvgPool1d(64), nn.Linear(1, 10, bias=False))
    nn.init.zeros_(model[2].weight)
    row = gap_rows(subject_of(model))[0]  # S = (I - 1/10) / 10 has one eigenvalue, nine times
    assert row.verdict == "cannot be decided here"


def test_few_products_do_not_decide(sam_run, digits):
    table = check_assumptions(
        sam_run, digits, AssumptionSettings(examples=32, minibatches=1, draws=2, pairs=1, max_products=3)
    )
    assert table.row("lambda_1 is simple at the trained point").verdict == "cannot be decided here"


def test_recorded_gaps(table, sam_run):
    row = table.row("lambda_1 stays simple along the training")
    rows = sam_run.curvature
    assert row.verdict == "cannot be decided here"
    assert row.numbers["steps"] == len(rows) > 2
    assert row.numbers["smallest_relative_gap"] == pytest.approx(min(r["gap"] / r["lambda_1"] for r in rows))


def test_gradients_by_a_plain_loop(subject_of, digits):
    model = tiny()
    settings = {"batch_size": 100, "optimizer": {"name": "sam", "rho": 1e-6}}
    looked = subject_of(model, settings, AssumptionSettings(examples=64, minibatches=3))
    everywhere, here = gradient_rows(looked)
    order = torch.randperm(1437, generator=torch.Generator().manual_seed(2))
    norms, total = [], 0
    model = looked.run.network().double()
    for rows in order[:300].split(100):
        model.zero_grad()
        cross_entropy(model(digits.train_inputs[rows].double()), digits.train_targets[rows]).backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters()])
        norms.append(float(gradient.norm()))
        total = total + gradient / 3
    assert here.numbers["smallest"] == pytest.approx(min(norms))
    assert here.numbers["median"] == pytest.approx(sorted(norms)[1])
    assert everywhere.numbers["mean_gradient"] == pytest.approx(float(total.norm()))
    assert (everywhere.verdict, everywhere.ground) == ("fails", "proof")
    assert here.verdict == "cannot be decided here"  # a sample, however large the gradients are
    assert here.numbers["ratio"] > 100


def test_a_radius_that_is_too_long_fails(subject_of):
    """Wrong on purpose: rho lambda_1 is beyond every gradient."""
    settings = {"batch_size": 100, "optimizer": {"name": "sam", "rho": 1e6}}
    row = gradient_rows(subject_of(tiny(), settings))[1]
    assert (row.verdict, row.numbers["below"]) == ("fails", row.numbers["minibatches"])
    assert gradient_rows(subject_of(tiny(), {"optimizer": {"name": "sgd"}}))[1].numbers["scale"] is None


def test_large_networks_get_fewer_examples():
    settings = AssumptionSettings()
    assert (settings.example_count(10**5), settings.example_count(10**7)) == (512, 64)
    assert (settings.minibatch_count(10**5), settings.minibatch_count(10**7)) == (256, 8)
    assert (settings.product_count(10**5), settings.product_count(10**7)) == (60, 30)
    assert (settings.pair_count(10**5), settings.pair_count(10**7)) == (4, 1)
    given = AssumptionSettings(minibatches=5, max_products=7, pairs=9)
    assert (given.minibatch_count(10**7), given.product_count(10**7), given.pair_count(10**7)) == (5, 7, 9)


def test_a_table_is_the_same_twice(table, sam_run, digits):
    again = check_assumptions(sam_run, digits, AssumptionSettings(examples=64, minibatches=4, draws=4, pairs=2))
    assert json.dumps(again.to_dict()) == json.dumps(table.to_dict())


def test_a_large_network_is_looked_at_in_float32(table, sam_run, digits, monkeypatch):
    """The same verdicts, but for intervals at their edge; what needs many digits stays in float64."""
    monkeypatch.setattr(subject, "_DOUBLE", 0)
    rough = check_assumptions(sam_run, digits, AssumptionSettings(examples=64, minibatches=4, draws=4, pairs=2))
    assert rough.subject.endswith("float32")
    for one, other in zip(table.rows, rough.rows, strict=True):
        assert one.verdict == other.verdict, one.name
    exact, gap = (each.row("lambda_1 is simple at the trained point").numbers for each in (table, rough))
    assert gap["lambda_1"] == pytest.approx(exact["lambda_1"], rel=1e-3)
    assert gap["rest_kind"] == "estimate"


def test_a_training_that_diverged(run_of, digits):
    model = tiny()
    model[2].weight.data[0, 0] = float("nan")
    with pytest.raises(InputError, match="hold NaN or infinity: its training diverged"):
        check_assumptions(run_of(model), digits)


def test_other_data(sam_run, digits):
    import dataclasses

    with pytest.raises(InputError, match="the run was trained on other examples"):
        check_assumptions(sam_run, dataclasses.replace(digits, train_targets=digits.train_targets.flip(0)))
