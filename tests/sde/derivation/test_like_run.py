"""``eigensam derive --like RUN``: the SDE of what a run did."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import DataSet, Run, load_data
from eigensam.optim import BASES, OPTIMIZERS, TrainSettings, train
from eigensam.sde import derive, heavy_ball, sde_of_run
from eigensam.sde.derivation.like_run import recorded_curvature, training_examples
from eigensam.sde.rules import RULES, Repartitioned, Schedule

SAM = OPTIMIZERS["sam"](rho=0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two epochs of SAM with momentum, decay and a cosine, on 200 of the digits."""
    settings = TrainSettings(SAM, epochs=2, subset=200, spectrum_every=1, label_smoothing=0.1)
    return train(settings, load_data("digits"), tmp_path_factory.mktemp("like") / "sam")


def trained(folder, optimizer, **changes):
    return train(TrainSettings(optimizer, **{"epochs": 1, "subset": 200, **changes}), load_data("digits"), folder)


def test_the_sde_is_that_of_the_settings(run):
    """Written by hand: 3 steps of 64 of 200 examples, eps = 1, T = 6."""
    found = sde_of_run(run, 2, Fraction(2, 3))
    by_hand = replace(
        heavy_ball(RULES["sam"], weight_decay="0.00005", schedule=Schedule("(1 + cos(pi*t/6))/2")),
        sampling=Repartitioned(200, 64),
    )
    sde = derive(by_hand, 2, "2/3")
    assert (found.sde.drift, found.sde.correction, found.sde.covariance) == (sde.drift, sde.correction, sde.covariance)
    assert found.sde.rate * found.trained.eta == found.trained.effective_rate == 1
    assert (found.trained.horizon, found.scale) == (6, pytest.approx(0.05))
    assert found.trained.base.schedule(3.0) == pytest.approx(0.5)
    assert found.neglected == ()


def test_numbers_are_printed(run, cli):
    outcome = cli("derive", "--like", run.directory, "--weak-order", 2, "--rho-exponent", "2/3")
    assert outcome.code == 0
    for part in (
        f"the training in {run.directory}\n",
        "η = 0.1; ε = η/(1 - 0.9) = 1; ρ = 0.05, that is c = ρ/ε^β = 0.05\n",
        "2 epochs of 3 steps of 64 of 200 examples: n = 6, T = nε = 6\n",
        "eta*lambda_1/(1 - sqrt(beta))^2 = ",
        "the largest of 2 that the",
        "with label smoothing 0.1",
        "s(t) = cos(pi*t/6)/2 + 1/2",
        "every epoch cuts the examples anew",
        "weak order 2 for ρ = c ε",
    ):
        assert part in outcome.out


def test_curvature_is_the_largest_recorded_or_given(run, cli, tmp_path):
    largest, when = recorded_curvature(run)
    assert largest == max(row["lambda_1"] for row in run.metrics)
    assert "the largest of 2 that the training recorded" in when
    ratios = [sde_of_run(run, 1, Fraction(1), curvature=c).regime.ratio for c in (None, 2 * largest)]
    assert ratios[1] == pytest.approx(2 * ratios[0])
    file = tmp_path / "a.json"
    assert cli("derive", "--like", run.directory, "--curvature", 5, "--json", file).code == 0
    written = json.loads(file.read_text())["run"]
    assert written["regime"]["ratio"] == pytest.approx(0.5 / (1 - 0.9**0.5) ** 2)
    assert (written["examples"], written["steps_per_epoch"], written["horizon"]) == (200, 3, 6)


def test_recorder_rows_count_and_no_curvature_is_said(tmp_path):
    recorded = trained(tmp_path / "a", "sgd", record_every=2)
    steps = {row["step"]: row["lambda_1"] for row in recorded.curvature}
    assert recorded_curvature(recorded)[0] == max(steps.values())
    without = sde_of_run(trained(tmp_path / "b", "sgd"), 1, Fraction(1))
    assert without.regime is None
    assert "no curvature of it was measured" in without.summary


def test_steps_without_momentum(tmp_path, cli):
    run = trained(tmp_path / "a", "sgd", base=BASES["sgd"](momentum=0.0), schedule="constant", weight_decay=0.0)
    found = sde_of_run(run, 2, Fraction(1), curvature=3.0)
    assert "η = 0.1; ε = η = 0.1\n" in found.summary
    assert found.regime.ratio == pytest.approx(0.3)
    assert found.trained.recursion.step == "x = x - eta*g"


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"subset": 0}, 1437),
        ({"prior_fraction": 0.5, "subset": 0}, 718),
        ({"subset": 300, "validation_fraction": 0.1}, 270),
    ],
)
def test_examples_that_are_trained_on(tmp_path, changes, count):
    assert training_examples(trained(tmp_path / "a", "sgd", **changes)) == count


def test_data_of_ones_own(tmp_path):
    x, y = torch.randn(64, 3), torch.randint(2, (64,))
    mine = DataSet("mine", x, y, x[:8], y[:8], classes=2, augmentable=False)
    settings = TrainSettings("sam", data="own", model="own", epochs=1, batch_size=16)
    run = train(settings, mine, tmp_path / "a", model=torch.nn.Linear(3, 2))
    with pytest.raises(InputError, match=r"data of your own.*call sde_of_run\(run, ..., examples=...\) from Python"):
        sde_of_run(run, 1, Fraction(1))
    assert sde_of_run(run, 1, Fraction(1), examples=64).trained.steps == 4


@pytest.mark.parametrize(("model", "normalises"), [("mlp32", False), ("mlp32-bn", True)])
def test_networks_that_normalise_by_minibatch(tmp_path, model, normalises):
    run = trained(tmp_path / "a", "sgd", model=model)
    said = sde_of_run(run, 2, Fraction(1)).neglected
    assert said == () or ("the network normalises by minibatch" in said[0] and normalises)
    assert bool(said) == normalises
    assert sde_of_run(run, 1, Fraction(1)).neglected == ()


def test_less_than_the_law_knows(run):
    found = sde_of_run(run, 2, Fraction(2, 5))
    assert "4 minibatches are taken as fixed here" in found.neglected[0]
    assert "left out: every epoch cuts the examples anew" in found.summary


@pytest.mark.parametrize(
    ("optimizer", "said"), [("asam", "scales each coordinate"), ("vasso", "is no polynomial in it")]
)
def test_refusals_of_runs(tmp_path, refused, optimizer, said):
    run = trained(tmp_path / "a", optimizer)
    assert said in refused("derive", "--like", run.directory)


def test_a_directory_that_is_none(tmp_path, refused):
    assert "is not a finished run" in refused("derive", "--like", tmp_path / "nothing")
    with pytest.raises(InputError):
        Run(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "derive takes a RULE, such as sam, or --like RUN"),
        (["sam", "--like", "a"], "give one of both"),
        (["--like", "a", "--epochs", "independent"], "--epochs has no effect here: it belongs to a RULE"),
        (["--like", "a", "--schedule", "s=1"], "--schedule has no effect here"),
        (["--like", "a", "--landscape", "f.json", "--eta", "1"], "has no effect here: it belongs to a RULE"),
        (["sam", "--curvature", "3"], "--curvature has no effect here: it belongs to --like"),
        (["sam", "--data-root", "d"], "--data-root has no effect here: it belongs to --like"),
    ],
)
def test_options_that_would_be_ignored(refused, arguments, said):
    assert said in refused("derive", *arguments)


@pytest.mark.parametrize("number", ["much", "nan", "inf"])
def test_curvatures_that_are_none(run, refused, number):
    assert "curvature" in refused("derive", "--like", run.directory, "--curvature", number)
