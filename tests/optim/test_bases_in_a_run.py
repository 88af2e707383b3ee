"""Base optimizers in a run: plain torch loops to the last bit, around every method, resumed, and their options."""

import dataclasses
import json
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.ground.settings import setting
from eigensam.landscapes import load_tensors, read_metrics
from eigensam.landscapes.runs.build import build_model
from eigensam.optim import (
    BASES,
    OPTIMIZERS,
    Base,
    RMSpropBase,
    SGDBase,
    TrainSettings,
    make_optimizer,
    register_base,
    run_identity,
    train,
)

SETTINGS = {
    "sgd": {"momentum": 0.7, "nesterov": True},
    "adamw": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6},
    "adam": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6},
    "rmsprop": {"alpha": 0.9, "momentum": 0.5, "centered": True, "eps": 1e-6},
    "radam": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6},
    "adagrad": {"eps": 1e-6},
}
BETAS = {"betas": (0.8, 0.95), "eps": 1e-6}
TORCHS = {
    "sgd": (torch.optim.SGD, SETTINGS["sgd"]),
    "adamw": (torch.optim.AdamW, BETAS),
    "adam": (torch.optim.Adam, BETAS),
    "rmsprop": (torch.optim.RMSprop, SETTINGS["rmsprop"]),
    "radam": (torch.optim.RAdam, BETAS),
    "adagrad": (torch.optim.Adagrad, SETTINGS["adagrad"]),
}
RUN = {"epochs": 3, "batch_size": 60, "lr": 0.02, "weight_decay": 0.01, "seed": 3}


@pytest.fixture(scope="module")
def small(digits):
    return dataclasses.replace(digits, train_inputs=digits.train_inputs[:300], train_targets=digits.train_targets[:300])


def _by_hand(data, kind, options):
    """A training as people write it in torch; what is random is drawn as a run says that it draws."""
    torch.manual_seed(RUN["seed"])
    model = build_model("mlp", data.shape, data.classes)
    optimizer = kind(model.parameters(), lr=RUN["lr"], weight_decay=RUN["weight_decay"], **options)
    steps = len(data.train_targets) // RUN["batch_size"]
    for epoch in range(RUN["epochs"]):
        torch.manual_seed(RUN["seed"] * 1_000_003 + epoch)
        order = torch.randperm(len(data.train_targets))
        for step in range(steps):
            chosen = order[step * RUN["batch_size"] : (step + 1) * RUN["batch_size"]]
            done = (epoch * steps + step) / (RUN["epochs"] * steps)
            optimizer.param_groups[0]["lr"] = RUN["lr"] * (1 + math.cos(math.pi * done)) / 2
            optimizer.zero_grad()
            cross_entropy(model(data.train_inputs[chosen]), data.train_targets[chosen]).backward()
            optimizer.step()
    return model.state_dict()


def _equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", BASES)
def test_plain_is_a_plain_torch_loop_to_the_last_bit(small, tmp_path, name):
    settings = TrainSettings("plain", BASES[name](**SETTINGS[name]), **RUN)
    ours = train(settings, small, tmp_path / "r").network().state_dict()
    kind, options = TORCHS[name]
    assert _equal(ours, _by_hand(small, kind, options))
    assert not _equal(ours, _by_hand(small, kind, {}))  # wrong on purpose: torch's defaults


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("method", ["plain", "sam", "eigen-sam"])
def test_a_killed_run_resumes_bit_for_bit(small, tmp_path, name, method):
    settings = TrainSettings(method, BASES[name](**SETTINGS[name]), **RUN)

    def kill(step, steps, latest):
        if step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, small, tmp_path / "killed", progress=kill)
    train(settings, small, tmp_path / "killed", resume=True)
    train(settings, small, tmp_path / "whole")
    weights = [load_tensors(tmp_path / run / "checkpoint.safetensors") for run in ("killed", "whole")]
    assert _equal(*weights)
    rows = [[{**row, "seconds": 0} for row in read_metrics(tmp_path / run)] for run in ("killed", "whole")]
    assert rows[0] == rows[1]
    assert not _equal(weights[0], load_tensors(tmp_path / "whole" / "initial.safetensors"))


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("method", [name for name in OPTIMIZERS if name != "sgd"])
def test_every_method_hands_every_setting_to_every_base(name, method):
    """Also one that the method has, too, such as RMSprop's alpha around Eigen-SAM."""
    settings = TrainSettings(method, BASES[name](**SETTINGS[name]), lr=0.3, weight_decay=0.02)
    optimizer = make_optimizer(settings, nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    kind, options = TORCHS[name]
    base = optimizer if method == "plain" else optimizer.base
    assert type(base) is kind
    groups = optimizer.param_groups
    for group in groups:
        assert (group["lr"], group["weight_decay"]) == (0.3, 0.02)
        for key, value in options.items():
            assert group.get(f"base_{key}", group[key]) == value
    for key, value in settings.method.to_dict().items():
        assert key not in groups[0] or value in [group[key] for group in groups]


@pytest.mark.parametrize("name", BASES)
def test_contract(name):
    base = BASES[name](**SETTINGS[name])
    assert base.to_dict() == {"name": name, **SETTINGS[name]}
    settings = TrainSettings("sam", base)
    assert TrainSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    kind = base.kind()
    assert issubclass(kind, torch.optim.Optimizer)
    kind([nn.Parameter(torch.zeros(1))], lr=0.1, weight_decay=0.0, **base.options())
    theirs = kind([nn.Parameter(torch.zeros(1))], lr=0.1).defaults
    ours = BASES[name]().options()
    if name == "sgd":
        assert ours.pop("momentum") == 0.9  # the paper's
    assert {key: theirs[key] for key in ours} == ours


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGDBase(momentum=1.0), r"momentum = 1.0 must lie in \[0, 1\)"),
        (lambda: SGDBase(momentum=0.0, nesterov=True), "nesterov needs a momentum above 0"),
        (lambda: RMSpropBase(eps=0.0), "eps = 0.0 must be positive"),
        *(
            (lambda name=name, key=key: BASES[name](**{key: 1.0}), rf"{key} = 1.0 must lie in \[0, 1\)")
            for name in ("adam", "adamw", "radam")
            for key in ("beta1", "beta2")
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_options(cli, tmp_path):
    command = "train --epochs 1 --batch-size 700 --optimizer eigen-sam --alpha 0.3 --base rmsprop --base-alpha 0.95"
    outcome = cli(*command.split(), "--lr", 0.001, "--out", tmp_path / "r")
    assert outcome.code == 0, outcome
    settings = json.loads((tmp_path / "r" / "checkpoint.json").read_text())["settings"]
    assert settings["optimizer"]["alpha"] == 0.3
    defaults = {"momentum": 0.0, "centered": False, "eps": 1e-8}
    assert settings["base"] == {"name": "rmsprop", "alpha": 0.95, **defaults}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--optimizer sgd --base adamw", "takes no base 'adamw'; for that base alone give optimizer 'plain'"),
        ("--base adamw --momentum 0.9", "--momentum has no effect here: it belongs to --base sgd or rmsprop"),
        (
            "--optimizer sam --base rmsprop --alpha 0.9",
            "(--base-alpha is that of --base rmsprop)",
        ),
        ("--base lbfgs", "unknown base 'lbfgs'; choose one of: sgd, adamw"),
    ],
)
def test_refused_options(refused, tmp_path, options, message):
    assert message in refused("train", *options.split(), "--out", tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Delta(Base):
    rho: float = setting(0.9, "Share of the running means that is kept.")

    def kind(self):
        return torch.optim.Adadelta


def test_anothers_base_in_a_run(cli, monkeypatch, tmp_path, digits):
    """Found by an entry point; its ``rho`` is not that of the method."""

    class Point:
        def load(self):
            register_base("delta")(Delta)

    monkeypatch.setattr(BASES, "_entries", dict(BASES._entries))
    monkeypatch.setattr(BASES, "_complete", False)
    monkeypatch.setattr("eigensam.ground.registry.entry_points", lambda group: [Point()] * (group == "eigensam.base"))
    options = "--epochs 1 --batch-size 700 --optimizer sam --rho 0.2 --base delta --base-rho 0.8"
    outcome = cli("train", *options.split(), "--out", tmp_path / "r")
    assert outcome.code == 0, outcome
    settings = json.loads((tmp_path / "r" / "checkpoint.json").read_text())["settings"]
    assert (settings["optimizer"]["rho"], settings["base"]["rho"]) == (0.2, 0.8)
    group = make_optimizer(TrainSettings.from_dict(settings), nn.Linear(2, 2)).param_groups[0]
    assert (group["rho"], group["base_rho"]) == (0.2, 0.8)
    plain, other = (run_identity(digits, "cpu", TrainSettings("sam", name)) for name in ("sgd", "delta"))
    assert other.keys() - plain.keys() == {"code of other packages"}
