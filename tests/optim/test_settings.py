"""Settings are checked when they are made, and read back from JSON."""

import json
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.ground.settings import setting
from eigensam.optim import (
    ASAM,
    CRSAM,
    EGR,
    GSAM,
    MSAM,
    OPTIMIZERS,
    SAM,
    USAM,
    XSAM,
    AwarePerturbation,
    DetSAM,
    EigenSAM,
    EigenSAMSettings,
    FisherSAM,
    FriendlySAM,
    FrobSAM,
    Method,
    MomentumSAM,
    MSAMSettings,
    RandomSAM,
    ReverseSAM,
    SAMSettings,
    SGDBase,
    SmoothedPerturbation,
    TrainSettings,
    VaSSO,
    make_optimizer,
    register,
    run_identity,
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": "iris"}, "unknown data 'iris'; choose one of: digits"),
        ({"model": "gpt"}, "unknown model 'gpt'"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; choose one of: sgd, plain, sam, eigen-sam"),
        ({"optimizer": None}, "optimizer = None is neither a name nor settings"),
        ({"epochs": 0}, "epochs = 0 must be at least 1"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"lr": 0.0}, "lr = 0.0 must be positive"),
        ({"lr": float("nan")}, "lr = nan is out of range"),
        ({"epochs": 1.5}, "epochs = 1.5 is not of type int"),
        ({"epochs": True}, "epochs = True is not of type int"),
        ({"epochs": 10**400}, "is out of range"),
        ({"lr": 1e308}, "is out of range"),
        ({"base": "lbfgs"}, "unknown base 'lbfgs'; choose one of: sgd, adamw, adam"),
        ({"base": 3}, "base = 3 is neither a name nor settings of a base"),
        ({"schedule": "linear"}, "unknown schedule 'linear'; choose one of: cosine, step, constant"),
        ({"schedule": SAMSettings()}, "is neither a name nor settings of a schedule"),
        ({"schedule": "step"}, "milestones = '' are not increasing epochs; give some"),
        ({"optimizer": "sgd", "base": "adamw"}, "takes no base 'adamw'; for that base alone give optimizer 'plain'"),
        ({"warmup_epochs": -1.0}, "warmup_epochs = -1.0 must be at least 0"),
        ({"warmup_epochs": 21.0}, "warmup_epochs = 21 exceeds the 20 epochs"),
        ({"weight_decay": float("inf")}, "weight_decay = inf"),
        ({"spectrum_every": -1}, "spectrum_every = -1"),
        ({"seed": -1}, "seed = -1 must lie in"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        TrainSettings(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solver": "qr"}, "unknown solver 'qr'; choose one of: lanczos, power"),
        ({"normalize": "no"}, "normalize = 'no' is not of type bool"),
        ({"rho": 0.0}, "rho = 0.0 must be positive; plain SGD is optimizer 'sgd'"),
        ({"alpha": -1.0}, "alpha = -1.0 must be at least 0"),
        ({"refresh_every": 0}, "refresh_every = 0"),
        ({"iterations": 0}, "iterations = 0"),
    ],
)
def test_refusals_of_a_method(arguments, message):
    with pytest.raises(InputError, match=message):
        EigenSAMSettings(**arguments)


METHODS = {
    "sgd": {},
    "plain": {},
    "sam": {"rho": 0.7},
    "eigen-sam": {
        "rho": 0.7, "alpha": 0.4, "refresh_every": 9, "iterations": 3, "solver": "power", "normalize": True,
        "curvature": "stream", "guard": 0.3,
    },
    "asam": {"rho": 0.7, "eta": 0.2},
    "usam": {"rho": 0.7},
    "reverse-sam": {"rho": 0.7},
    "fisher-sam": {"rho": 0.7, "eta": 2.0},
    "cr-sam": {"rho": 0.7, "gamma": 0.3, "beta": 0.4},
    "gsam": {"rho": 0.7, "alpha": 0.3},
    "vasso": {"rho": 0.7, "theta": 0.3},
    "friendly-sam": {"rho": 0.7, "sigma": 0.5, "decay": 0.3},
    "momentum-sam": {"rho": 0.7},
    "sam-on": {"rho": 0.7},
    "x-sam": {
        "rho": 0.7, "alpha": 0.4, "refresh_every": 9, "iterations": 3, "solver": "power", "curvature": "stream",
        "guard": 0.3,
    },
    "smoothed-perturbation": {"rho": 0.7, "tolerance": 0.3, "far": 2.0},
    "aware-perturbation": {"rho": 0.7, "tolerance": 0.3, "far": 2.0, "parts": 2},
    "frob-sam": {"rho": 0.7, "weight": 0.3, "samples": 4},
    "det-sam": {"rho": 0.7, "weight": 0.3, "samples": 4, "scale": 2.0},
    "random-sam": {"rho": 0.7, "gaussian": True},
    "m-sam": {"rho": 0.7, "micro_batches": 2},
    "egr": {"rho": 0.7},
}  # fmt: skip
CLASSES = {
    "sgd": torch.optim.SGD,
    "plain": torch.optim.SGD,
    "sam": SAM,
    "eigen-sam": EigenSAM,
    "asam": ASAM,
    "usam": USAM,
    "reverse-sam": ReverseSAM,
    "fisher-sam": FisherSAM,
    "cr-sam": CRSAM,
    "gsam": GSAM,
    "vasso": VaSSO,
    "friendly-sam": FriendlySAM,
    "momentum-sam": MomentumSAM,
    "sam-on": SAM,
    "x-sam": XSAM,
    "smoothed-perturbation": SmoothedPerturbation,
    "aware-perturbation": AwarePerturbation,
    "frob-sam": FrobSAM,
    "det-sam": DetSAM,
    "random-sam": RandomSAM,
    "m-sam": MSAM,
    "egr": EGR,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_optimizer_gets_every_hyper_parameter(name):
    settings = TrainSettings(
        OPTIMIZERS[name](**METHODS[name]), SGDBase(momentum=0.5), lr=0.3, weight_decay=0.02, seed=11
    )
    optimizer = make_optimizer(settings, nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 2)))
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.3, 0.5, 0.02)
    assert type(optimizer) is CLASSES[name]
    elsewhere = {"micro_batches", "parts"}  # of the training, not of the optimizer
    for key in METHODS[name].keys() - elsewhere:
        assert (group[key] if key in group else getattr(optimizer, key)) == METHODS[name][key]
    if hasattr(optimizer, "seed"):
        assert optimizer.seed == 11


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("asam", {"eta": -0.1}, "eta = -0.1 must be at least 0"),
        ("fisher-sam", {"eta": -1.0}, "eta = -1.0 must be at least 0"),
        ("cr-sam", {"gamma": -1.0}, "gamma = -1.0 must be at least 0"),
        ("cr-sam", {"beta": -1.0}, "beta = -1.0 must be at least 0"),
        ("gsam", {"alpha": -1.0}, "alpha = -1.0 must be at least 0"),
        ("vasso", {"theta": 0.0}, r"theta = 0.0 must lie in \(0, 1\]"),
        ("vasso", {"theta": 1.1}, r"theta = 1.1 must lie in \(0, 1\]"),
        ("friendly-sam", {"sigma": -1.0}, "sigma = -1.0 must be at least 0"),
        ("friendly-sam", {"decay": 1.0}, r"decay = 1.0 must lie in \[0, 1\)"),
        ("x-sam", {"alpha": 2.1}, r"alpha = 2.1 must lie in \[0, 2\]"),
        ("smoothed-perturbation", {"tolerance": -0.1}, "tolerance = -0.1 must be at least 0"),
        ("aware-perturbation", {"far": 0.0}, "far = 0.0 must be positive"),
        ("aware-perturbation", {"parts": 0}, "parts = 0 must be at least 1"),
        ("frob-sam", {"samples": 1}, "samples = 1 must be at least 2"),
        ("frob-sam", {"weight": 0.0}, "weight = 0.0 must be positive"),
        ("det-sam", {"scale": 0.0}, "scale = 0.0 must be positive"),
        ("m-sam", {"micro_batches": 0}, "micro_batches = 0 must be at least 1"),
        *((name, {"rho": 0.0}, "rho = 0.0 must be positive") for name, own in METHODS.items() if "rho" in own),
    ],
)
def test_refusals_of_the_other_methods(name, arguments, message):
    with pytest.raises(InputError, match=message):
        OPTIMIZERS[name](**arguments)


def test_a_minibatch_is_split_into_equal_parts():
    assert TrainSettings(MSAMSettings(micro_batches=8)).method.closures == 8
    assert TrainSettings("sam").method.closures == 1
    with pytest.raises(InputError, match="batch_size = 64 cannot be split into the 3 equal parts of a step of m-SAM"):
        TrainSettings(MSAMSettings(micro_batches=3))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_json_there_and_back(name):
    settings = TrainSettings(OPTIMIZERS[name](**METHODS[name]), epochs=3, augment=True)
    found = json.loads(json.dumps(settings.to_dict()))
    assert found["optimizer"] == {"name": name, **METHODS[name]}
    assert TrainSettings.from_dict(found) == settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "sam"}, "is not an optimizer; expected its name and settings"),
        ({"optimizer": {"name": "adam"}}, "unknown optimizer 'adam'"),
        ({"optimizer": {"name": "sam", "radius": 1.0}}, "settings of 'sam' do not fit"),
        ({"optimizer": {"name": "sam", "rho": -1.0}}, "rho = -1.0 must be positive"),
        ({"colour": "red"}, "look at colour"),
        ({"base": {"name": "sgd", "momentum": 1.0}}, r"momentum = 1.0 must lie in \[0, 1\)"),
        ({"base": "sgd"}, "'sgd' is not a base; expected its name and settings"),
        ({"schedule": {"name": "cosine", "end": 0}}, "settings of 'cosine' do not fit"),
    ],
)
def test_json_of_something_else(change, message):
    with pytest.raises(InputError, match=message):
        TrainSettings.from_dict({**TrainSettings(SAMSettings()).to_dict(), **change})


@pytest.fixture
def lazy(monkeypatch):
    """An optimizer of another package, found by an entry point."""

    @dataclass(frozen=True)
    class Lazy(Method):
        label = "Lazy SGD"
        rho: float = setting(0.5, "Radius that it ignores.")
        rest: int = setting(
            2, "Steps without a step.", holds=lambda value: value > 0, otherwise="must be at least 1, for a rest"
        )

        def make(self, parameters, *, seed, **base):
            return base.pop("base")(parameters, **{**base, "lr": base["lr"] / self.rest})

    class Point:
        def load(self):
            register("lazy")(Lazy)

    known = dict(OPTIMIZERS._entries)
    monkeypatch.setattr(OPTIMIZERS, "_entries", known)
    monkeypatch.setattr(OPTIMIZERS, "_complete", False)
    monkeypatch.setattr(
        "eigensam.ground.registry.entry_points", lambda group: [Point()] * (group == "eigensam.optimizer")
    )


def test_somebody_elses_optimizer_is_in_help_and_in_a_run(cli, refused, lazy, tmp_path):
    shown = cli("train", "--help").out
    text = " ".join(shown.replace("│", " ").split())
    assert "egr, friendly-sam" in text
    assert ", lazy" in text
    assert "--rest" in shown
    # what a name means to each of those that share it
    assert "asam (0.01): Added to the magnitude" in text
    assert "fisher-sam (1.0): Weight of the Fisher information" in text
    assert "must be at least 1, for a rest" in refused(
        "train", "--out", tmp_path / "r", "--optimizer", "lazy", "--rest", 0
    )
    assert "--rest has no effect here: it belongs to --optimizer lazy" in refused(
        "train", "--out", tmp_path / "r", "--optimizer", "sam", "--rest", 3
    )
    out, written = tmp_path / "r", tmp_path / "r.json"
    outcome = cli("train", "--out", out, "--optimizer", "lazy", "--rest", 3, "--epochs", 1, "--json", written)
    assert outcome.code == 0, outcome
    found = json.loads(written.read_text())["settings"]
    assert found["optimizer"] == {"name": "lazy", "rho": 0.5, "rest": 3}
    assert json.loads((out / "checkpoint.json").read_text())["settings"] == found


def test_anothers_code_is_part_of_a_runs_identity(digits, lazy):
    list(OPTIMIZERS)
    plain, other = (run_identity(digits, "cpu", TrainSettings(name)) for name in ("sam", "lazy"))
    assert other.keys() - plain.keys() == {"code of other packages"}
    assert plain == run_identity(digits, "cpu")


def test_settings_that_are_no_optimizers():
    @dataclass(frozen=True)
    class Named(Method):
        name: str = setting("x", "Taken.")

        def make(self, parameters, *, seed, **base):
            raise NotImplementedError

    with pytest.raises(InputError, match="a setting of 'named' is called 'name'"):
        register("named")(Named)
    with pytest.raises(InputError, match="these settings are those of 'sam' already; 'sam2' needs a class of its own"):
        register("sam2")(SAMSettings)
    assert SAMSettings.name == "sam"
