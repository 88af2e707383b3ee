"""``eigensam simulate --drift-orders``: what is written and said, a run's network, resuming, refusals."""

import json

import pytest
import torch

from eigensam.landscapes import load_data
from eigensam.optim import TrainSettings, train

TOY = (
    "simulate",
    "sam",
    "--rho",
    0.4,
    "--backend",
    "eager",
    "--landscape",
    "valley",
    "--start",
    "1.5,0.5",
    "--paths",
    100,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "a"
    train(TrainSettings("sgd", epochs=1), load_data("digits"), folder)
    return folder


def test_a_toy(cli, tmp_path):
    outcome = cli(
        *(*TOY, "--steps", 3),
        *("--drift-orders", "1,3", "--weak-order", 1, "--rho-exponent", "1/2", "--sampling", "reshuffled", "--flows"),
        *("--json", tmp_path / "a.json", "--plot", tmp_path / "a.svg", "--portrait", tmp_path / "a.png"),
    )
    assert outcome.code == 2
    assert "8 processes beside the rule are too many for one picture; ask for 6 at most" in outcome.err
    assert not list(tmp_path.iterdir())
    outcome = cli(
        *TOY,
        *("--drift-orders", "1,3", "--weak-order", 1, "--rho-exponent", "1/2", "--sampling", "reshuffled"),
        *("--json", tmp_path / "a.json", "--plot", tmp_path / "a.svg", "--portrait", tmp_path / "a.png"),
    )
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found["processes"]) == ["sam", "drift order 1", "drift order 3", "weak order 1", "exact drift"]
    assert found["comparison"]["sampling"] == "reshuffled"
    assert found["kind"] == "estimate"
    assert "Drift order 3 is closer to sam than drift order 1 in loss" in outcome.out
    assert "These are estimates" in outcome.out
    assert all((tmp_path / f"a.{kind}").stat().st_size > 1000 for kind in ("json", "svg", "png"))


def test_more_noise_is_not_closer(cli, tmp_path):
    """The same seed gives the same numbers; another one others."""
    files = [tmp_path / f"{k}.json" for k in range(3)]
    for file, seed in zip(files, (0, 0, 1), strict=True):
        assert cli(*TOY, "--steps", 3, "--drift-orders", 2, "--seed", seed, "--json", file).code == 0
    a, b, c = (json.loads(file.read_text())["distances"] for file in files)
    assert a == b != c


def test_a_run(cli, run, tmp_path):
    arguments = (
        *("simulate", "sam", "--landscape", run, "--initial", "--drift-orders", "2,3", "--rho", 0.4, "--steps", 1),
        *("--paths", 2, "--minibatches", 2, "--batch-size", 16, "--dtype", "float32"),
        *("--observables", "train loss, test accuracy", "--checkpoint", tmp_path / "kept"),
    )
    outcome = cli(*arguments, "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["landscape"]["initial"] is True
    assert f"kept in {tmp_path / 'kept'}" in outcome.out
    again = cli(*arguments, "--json", tmp_path / "b.json")
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "b.json").read_text())["distances"] == found["distances"]
    other = cli(*(each if each != "train loss, test accuracy" else "train loss" for each in arguments))
    assert other.code == 2
    assert "differs in observables" in " ".join(other.err.split())


def test_a_network_says_where_it_was_simulated(cli, refused, run, tmp_path, monkeypatch):
    """Where there is an accelerator, too, which "auto" finds."""
    monkeypatch.setattr("eigensam.sde.simulation.commands.find_device", lambda name: torch.device("meta"))
    arguments = (
        *("simulate", "sam", "--landscape", run, "--drift-orders", "2", "--rho", 0.4, "--steps", 1, "--paths", 2),
        *("--minibatches", 2, "--batch-size", 16, "--observables", "train loss", "--json", tmp_path / "a.json"),
    )
    outcome = cli(*arguments)
    assert outcome.code == 0, outcome.err
    assert json.loads((tmp_path / "a.json").read_text())["made_with"]["device"] == "cpu"
    assert "is simulated on the processor; leave it out" in refused(*arguments, "--device", "cuda")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--drift-orders", "1,x"), "give different numbers from 1 to 12, such as 1,2,3"),
        (("--drift-orders", "2,2"), "give different numbers"),
        (("--drift-orders", "0"), "give different numbers"),
        (("--drift-orders", "1", "--drift-order", "1"), "--drift-order has no effect here"),
        (("--flows",), "it belongs to comparisons, with --drift-orders"),
        (("--sampling", "reshuffled"), "it belongs to comparisons, with --drift-orders"),
        (("--portrait", "a.png"), "it belongs to comparisons, with --drift-orders"),
        (("--drift-orders", "1", "--trajectories", "5"), "it belongs to a single SDE, without --drift-orders"),
        (("--drift-orders", "1", "--minibatches", "5"), "it belongs to a --landscape that is a run directory"),
        (("--drift-orders", "1", "--initial"), "it belongs to a --landscape that is a run directory"),
        (("--drift-orders", "1", "--portrait", "a.gif"), "--portrait a.gif is not one of"),
        (("--drift-orders", "1", "--portrait", "a.png", "--plot", "a.png"), "--plot and --portrait are both"),
        (("--drift-orders", "1", "--scheme", "platen"), "has no normal increments"),
        (("--drift-orders", "1", "--sampling", "shuffled"), "unknown sampling 'shuffled'"),
        (("--drift-orders", "1", "--dt", "0.03"), "does not divide eta"),
    ],
)
def test_refusals(refused, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in " ".join(refused(*TOY, "--steps", 3, *arguments).split())
    assert not list(tmp_path.iterdir())


def test_refusals_of_landscapes(refused, run, tmp_path):
    base = ("simulate", "sam", "--steps", 2, "--drift-orders", "2")
    assert "none of the names torus, valley" in refused(*base, "--landscape", "valey")
    assert "--portrait is of two dimensions" in refused(*base, "--dim", 1, "--portrait", tmp_path / "a.png")
    assert "so give --drift-orders" in refused("simulate", "sam", "--landscape", run)
    assert "--start has no effect here" in refused(*base, "--landscape", run, "--start", 1)
    assert "--backend has no effect here" in refused(*base, "--landscape", run, "--backend", "eager")
    assert "more than the" in refused(*base, "--landscape", run, "--minibatches", 999)
    assert "height" in refused(*base, "--landscape", run, "--observables", "height")
    assert refused(*base, "--landscape", tmp_path)  # a folder that is no run


def test_gradients_that_vanish_at_the_start_are_refused(refused, tmp_path):
    """SAM divides by them."""
    formula = {"kind": "formula", "coordinates": ["x", "y"], "losses": ["x**2 + y**2", "2*x**2 + y**2"]}
    path = tmp_path / "f.json"
    path.write_text(json.dumps(formula))
    said = refused("simulate", "sam", "--landscape", path, "--start", 0, "--drift-orders", 2, "--steps", 2)
    assert "not finite" in said


MOMENTUM = ("simulate", "m = 1/2*m + grad(rho*g); x = x - eta*s*m", "--schedule", "s=1/(1+t)", "--rho-exponent", 1)
FEW = ("--backend", "eager", "--dim", 1, "--start", "1.5", "--eta", 0.05, "--paths", 20, "--steps", 4)


def test_what_is_trained_beside_its_sde_and_a_control(cli, tmp_path):
    law = ("--epochs", "reshuffled", "--batches", 3)
    outcome = cli(
        *(*MOMENTUM, *FEW, *law),
        *("--drift-orders", 1, "--control", "usam", "--observed", "x", "--json", tmp_path / "a.json"),
    )
    assert outcome.code == 0
    assert "A step of training takes the time eps = 2 eta = 0.1." in outcome.out
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["times"] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert list(record["distances"]) == ["drift order 1", "usam, drift order 1"]


def test_one_sde_of_what_is_trained(cli):
    outcome = cli(*MOMENTUM, *FEW, "--weak-order", 2)
    assert outcome.code == 0
    assert "eps = 2 eta = 0.1: at t = 0.4" in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--epochs", "reshuffled", "--batches", 4), "draws among 4 minibatches, and the landscape has"),
        (("--sampling", "reshuffled"), "a recursion has its own"),
    ],
)
def test_what_a_training_refuses(cli, options, words):
    outcome = cli(*MOMENTUM, *FEW, "--drift-orders", 1, *options)
    assert outcome.code == 2
    assert words in " ".join((outcome.out + outcome.err).split())


def test_what_is_trained_on_the_network_of_a_run(cli, run, tmp_path):
    few = ("--minibatches", 2, "--batch-size", 16, "--steps", 1, "--paths", 2, "--observables", "train loss")
    law = ("--epochs", "reshuffled", "--batches", 2, "--control", "usam", "--json", tmp_path / "a.json")
    outcome = cli(*MOMENTUM, "--landscape", run, "--drift-orders", 1, "--eta", 0.05, *few, *law)
    assert outcome.code == 0
    assert "A step of training takes the time eps = 2 eta = 0.1." in outcome.out
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["times"] == pytest.approx([0.0, 0.1])
    assert list(record["distances"]) == ["drift order 1", "usam, drift order 1"]
    friction = "m = m + 2*eta*(-1*g - m); x = x + eta*m"
    outcome = cli("simulate", friction, "--landscape", run, "--drift-orders", 1, *few)
    assert outcome.code == 2
    assert "on a network an SDE is of the position alone" in " ".join((outcome.out + outcome.err).split())
