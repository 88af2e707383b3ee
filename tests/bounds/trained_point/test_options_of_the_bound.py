"""The bound of a run under its options: extremes, frozen layers, linear networks, epochs on the way, words."""

import dataclasses

import pytest
import torch

from eigensam.bounds import Curvature, GibbsEstimate, LossAround, Theorem41, eigenvalue_bound
from eigensam.bounds.trained_point.explanation import HeldOut, explain
from eigensam.bounds.trained_point.sampled_point import open_point
from eigensam.bounds.trained_point.worst_and_others import smoothness_of_point
from eigensam.ground import InputError
from eigensam.optim import TrainSettings, train

CHEAP = {"max_products": 6, "top": 1, "draws": 2, "random_directions": 1, "gradients": 4}


def test_of_a_linear_network_the_bound_speaks_of_the_point(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=1, model="linear"), digits, tmp_path / "a")
    found = Theorem41(squared_input_norm=64.0, **CHEAP).bound(run, digits)
    price = found.for_the_point[0].terms[-1]
    assert price.value == pytest.approx(65 / (2 * 6.907755) * found.details["sigma"] ** 2 / 2, rel=1e-6)
    assert [each.kind for each in found.for_the_point] == ["estimate", "certificate"]
    assert "squared norm above 64" in found.words[-1]
    with pytest.raises(InputError, match=r"--squared-input-norm 3 is below .*, that of an example at hand"):
        Theorem41(squared_input_norm=3.0, **CHEAP).bound(run, digits)
    assert "--squared-input-norm" in Theorem41(**CHEAP).bound(run, digits).words[-1]


def test_along_the_training(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=2, model="linear", snapshot_every=1), digits, tmp_path / "a")
    found = Theorem41(along=True, **CHEAP).bound(run, digits)
    assert [row["epoch"] for row in found.along] == [0, 1, 2]
    sparse = train(TrainSettings("sgd", epochs=3, model="linear", snapshot_every=2), digits, tmp_path / "c")
    rows = Theorem41(along=True, **CHEAP).bound(sparse, digits).along
    assert [row["epoch"] for row in rows] == [0, 2, 3]  # the trained point is among them
    assert found.along[0]["distance"] == 0
    assert found.along[-1]["empirical loss"] == pytest.approx(found.terms[0].value)
    alone = Theorem41(**{**CHEAP, "random_directions": 0}).bound(run.at_epoch(1), digits)
    assert found.along[1]["sum"] == pytest.approx(alone.bound, rel=1e-9)
    assert len(found.plot().axes) == 3
    other = train(TrainSettings("sgd", epochs=1, model="linear"), digits, tmp_path / "b")
    with pytest.raises(InputError, match="has kept no epochs to bound along the training"):
        Theorem41(along=True, **CHEAP).bound(other, digits)


def test_refused_settings():
    for changes, message in (
        ({"top": 0}, "--top 0"),
        ({"probes": 1}, "--probes 1"),
        ({"draws": 0}, "--draws 0"),
        ({"gradients": 1}, "--gradients 1"),
        ({"rho": 0.0}, "--rho 0.0"),
        ({"rho": float("nan")}, "rho = nan"),
        ({"squared_input_norm": -1.0}, "--squared-input-norm -1.0"),
        ({"eigenvalue_share": 1.0}, "--eigenvalue-share 1.0"),
        ({"mc_share": 0.0}, "--mc-share 0.0"),
    ):
        with pytest.raises(InputError, match=message):
            Theorem41(**changes).check()


def test_extremes_of_sigma(digits, tmp_path):
    """At the ends of its range; where the best sigma would not be vacuous there is nothing to repair."""
    run = train(TrainSettings("sgd", epochs=1, model="linear"), digits, tmp_path / "a")
    for sigma in (1e-12, 1e6):
        found = Theorem41(sigma=sigma, **CHEAP).bound(run, digits)
        assert {each.details["sigma"] for each in found.forms} == {sigma}  # Monte Carlo, too
        assert found.measured["sigma_given"]
        assert "Each of these alone" not in " ".join(found.words) or found.measured["repairs"]
    best = Theorem41(**CHEAP).bound(run, digits)
    assert best.bound < 1
    assert best.measured["repairs"] is None
    for changes in ({"delta": 1e-17}, {"eigenvalue_share": 1e-30}, {"delta": 0.999}):
        assert Theorem41(**changes, **CHEAP).bound(run, digits).bound > 0
    with pytest.raises(InputError, match=r"--rho 1e-07 is below .* leave out --single"):
        Theorem41(rho=1e-7, single=True, **CHEAP).bound(run, digits)


def test_frozen_layers(digits, tmp_path):
    """What is random are the trained parameters: the divergence is theirs, and so are the draws."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.Tanh(), torch.nn.Linear(8, 10))
    model[1].requires_grad_(False)
    settings = TrainSettings("sgd", epochs=1, model="own")
    run = train(settings, digits, tmp_path / "a", model=model)
    found = Theorem41(squared_input_norm=8.0, **CHEAP).bound(run, digits)
    assert found.details["dim"] == 90
    assert found.forms[-1].kind == "certificate"
    assert found.for_the_point[1].kind == "certificate"  # its features are frozen, so the loss is smooth


def test_words_in_every_regime():
    """Not vacuous, no information, below the loss without data; a loss that falls, or changes by rounding alone."""
    flat = Curvature(0.01, 0.01)
    held_out = HeldOut(100, 3, 0.08, 0.1, 0.1, None)

    def said(loss, examples, rises, resolution=1e-12, uniform=0.332):
        bound = eigenvalue_bound(loss, flat, dim=10, squared_distance=1.0, examples=examples)
        sigma = bound.details["sigma"]
        around = LossAround((sigma / 2, 2 * sigma), torch.tensor([[rises, rises]]), resolution)
        risk = GibbsEstimate("cross-entropy", loss, min(1.0, loss + 0.05), 0.005, examples, 100, 100, 1e-8)
        return " ".join(explain(bound, risk, around, None, held_out, uniform))

    assert "It is vacuous" in said(0.9, 50, 1e-3)
    assert "It is below 1, but no information." in said(0.3, 1000, 1e-3)
    assert "which says more than no data do" in said(0.01, 100_000, 1e-3)
    assert "it does not rise" in said(0.01, 100_000, -1e-3)
    assert "less than rounding resolves" in said(0.01, 100_000, 1e-9, resolution=1e-8)
    assert "nan" not in said(0.0, 100_000, 0.0)


def test_a_damaged_snapshot_is_refused_before_the_work(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=2, model="linear", snapshot_every=1), digits, tmp_path / "a")
    (path,) = (tmp_path / "a" / "snapshots").glob("*1.safetensors")
    path.write_bytes(path.read_bytes()[:-8])
    seen = []
    with pytest.raises(InputError):
        Theorem41(along=True, **CHEAP).bound(run, digits, progress=seen.append)
    assert seen == []


def test_derivatives_of_few_examples(digits, tmp_path):
    """Another estimate, of random examples, which is said; eigenvalues and losses stay those of all."""
    run = train(TrainSettings("sgd", epochs=1, model="mlp32"), digits, tmp_path / "a")
    found, all_of_them = (Theorem41(derivative_examples=n, **CHEAP).bound(run, digits) for n in (100, 0))
    assert "those of 100 random examples" in " ".join(found.assumptions)
    assert "random examples" not in " ".join(all_of_them.assumptions)
    assert found.details["lambda_1"] == all_of_them.details["lambda_1"]
    few, many = found.details["k4_estimate"], all_of_them.details["k4_estimate"]
    assert few != many
    assert 0.3 < few / many < 3


def test_inputs_of_the_test_set_obey_the_norm_too(digits, tmp_path):
    run = train(TrainSettings("sgd", epochs=1, model="linear"), digits, tmp_path / "a")
    point = open_point(run, digits, Theorem41(squared_input_norm=64.0, **CHEAP), "cpu")
    assert smoothness_of_point(point, digits)[0] is not None
    longer = dataclasses.replace(digits, test_inputs=2 * digits.test_inputs)
    with pytest.raises(InputError, match="that of an example at hand"):
        smoothness_of_point(point, longer)
