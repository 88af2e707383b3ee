"""Schedules of the learning rate: torch's own, step by step; a contract that every one keeps; their options."""

import json
import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch
from torch.optim import lr_scheduler

from eigensam.ground import InputError
from eigensam.ground.settings import setting
from eigensam.landscapes import read_metrics
from eigensam.optim import RATES, CosineRate, Rate, StepRate, TrainSettings, register_rate, run_identity
from eigensam.optim.training.learning_rate import learning_rate

STEPS, EPOCHS, LR = 7, 10, 0.3
SETTINGS = {"cosine": {"final": 0.2}, "step": {"milestones": "3,8", "gamma": 0.3}, "constant": {}}
OTHERS = {  # total steps, and what torch calls the same settings
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS * EPOCHS, eta_min=0.2 * LR),
    "step": lambda o: lr_scheduler.MultiStepLR(o, milestones=[3 * STEPS, 8 * STEPS], gamma=0.3),
    "constant": lambda o: lr_scheduler.ConstantLR(o, factor=1.0),
}


def _ours(name, **options):
    settings = TrainSettings(schedule=RATES[name](**SETTINGS[name]), lr=LR, epochs=EPOCHS, **options)
    return [learning_rate(settings, step, STEPS) for step in range(STEPS * EPOCHS)]


def _torchs(*makers):
    """Learning rates of torch's schedulers, one after the other on one optimizer."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    schedulers = [make(optimizer) for make in makers]
    found = []
    for _ in range(STEPS * EPOCHS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


@pytest.mark.parametrize("name", RATES)
def test_every_step_is_torchs(name):
    assert _ours(name) == pytest.approx(_torchs(OTHERS[name]), rel=1e-10)


@pytest.mark.parametrize("name", RATES)
def test_a_step_too_late_is_another_schedule(name):
    """Wrong on purpose."""
    late = [LR, *_torchs(OTHERS[name])[:-1]]
    assert (_ours(name) == pytest.approx(late, rel=1e-10)) == (name == "constant")


@pytest.mark.parametrize("name", [n for n in RATES if n != "cosine"])
@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_warm_up_is_torchs_times_the_schedule(name, epochs):
    """Torch's cosine cannot be multiplied: its recursion takes the present rate for its own."""
    steps = epochs * STEPS

    def ramp(optimizer):
        return lr_scheduler.LinearLR(optimizer, start_factor=1 / steps, end_factor=1.0, total_iters=steps - 1)

    ours = _ours(name, warmup_epochs=float(epochs))
    assert ours == pytest.approx(_torchs(ramp, OTHERS[name]), rel=1e-10)


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("epochs", [0.0, 0.1, 1.0, 2.5, 10.0])
def test_warm_up_is_a_ramp_over_the_schedule(name, epochs):
    plain, ours = _ours(name), _ours(name, warmup_epochs=epochs)
    ramp = [min(1.0, (step / STEPS + 1 / STEPS) / epochs) if epochs else 1.0 for step in range(STEPS * EPOCHS)]
    assert ours == pytest.approx([a * b for a, b in zip(plain, ramp, strict=True)], rel=1e-12)
    assert 0 < ours[0] <= max(ours) <= LR


@pytest.mark.parametrize("steps", [1, 3, 22, 49, 390])
def test_the_papers_cosine_to_the_last_bit(steps):
    """As the loop had it before there were schedules, so that no earlier run is another one."""
    settings = TrainSettings(lr=0.1, epochs=20)
    for step in range(20 * steps):
        before = 0.1 * 0.5 * (1 + math.cos(math.pi * (step / (20 * steps))))
        assert learning_rate(settings, step, steps) == before


def test_a_test_that_rounds_twice_would_notice():
    """Wrong on purpose: the fraction of an epoch first."""
    pairs = [(step / 49 / 20, step / (20 * 49)) for step in range(20 * 49)]
    assert any(math.cos(math.pi * a) != math.cos(math.pi * b) for a, b in pairs)


# -- the contract


@pytest.mark.parametrize("name", RATES)
def test_contract(name):
    rate = RATES[name](**SETTINGS[name])
    assert rate.to_dict() == {"name": name, **SETTINGS[name]}
    assert json.loads(json.dumps(rate.to_dict())) == rate.to_dict()
    points = [Fraction(step, STEPS) for step in range(STEPS * EPOCHS)]
    factors = [rate.factor(epoch, EPOCHS) for epoch in points]
    assert all(isinstance(factor, float) and 0 <= factor <= 1 for factor in factors)
    assert factors[0] == 1.0
    assert factors == pytest.approx([rate.factor(float(epoch), EPOCHS) for epoch in points], rel=1e-12)
    longer = [rate.factor(epoch, 2 * EPOCHS) for epoch in points]
    assert (longer == factors) == rate.extendable


@pytest.mark.parametrize("name", RATES)
def test_json_there_and_back(name):
    settings = TrainSettings(schedule=RATES[name](**SETTINGS[name]), warmup_epochs=0.5)
    assert TrainSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineRate(final=-0.1), r"final = -0.1 must lie in \[0, 1\]"),
        (lambda: CosineRate(final=1.1), r"final = 1.1 must lie in \[0, 1\]"),
        (lambda: StepRate("3", gamma=0.0), r"gamma = 0.0 must lie in \(0, 1\]"),
        (lambda: StepRate("3", gamma=2.0), r"gamma = 2.0 must lie in \(0, 1\]"),
        (lambda: StepRate(3), "milestones = 3 is not of type str"),
        *(
            (lambda text=text: StepRate(text), "milestones = .* are not increasing epochs; give some, such as 100,150")
            for text in ("", ",", "3,", "0", "-1", "3,3", "4,3", "1.5", "a", "²", "9" * 99, [], [2, 1], [True])
        ),
    ],
)
def test_refusals(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_milestones_have_one_form():
    assert StepRate(" 3 , 08").milestones == "3,8"
    assert StepRate([3, 8]) == StepRate((3, 8)) == StepRate("3,8")


@dataclass(frozen=True)
class Wild(Rate):
    extendable = True
    value: float = setting(1.0, "What it gives.")

    def factor(self, epoch, epochs):
        return self.value * 1e300 * 1e300 if self.value > 1 else self.value


@pytest.fixture
def wild(monkeypatch):
    """A schedule of another package, found by an entry point."""

    class Point:
        def load(self):
            register_rate("wild")(Wild)

    monkeypatch.setattr(RATES, "_entries", dict(RATES._entries))
    monkeypatch.setattr(RATES, "_complete", False)
    monkeypatch.setattr(
        "eigensam.ground.registry.entry_points", lambda group: [Point()] * (group == "eigensam.schedule")
    )


@pytest.mark.parametrize("value", [-1.0, 2.0])
def test_anothers_factor_is_checked(wild, value):
    list(RATES)
    with pytest.raises(InputError, match=r"the schedule 'wild' gives the factor (-1.0|inf) at epoch 0.5; it must be"):
        learning_rate(TrainSettings(schedule=Wild(value)), 1, 2)


def test_anothers_schedule_in_a_run(cli, wild, tmp_path, digits):
    outcome = cli("train", "--epochs", 1, "--schedule", "wild", "--value", 0.5, "--out", tmp_path / "r")
    assert outcome.code == 0, outcome
    assert read_metrics(tmp_path / "r")[0]["lr"] == 0.05
    plain, other = (run_identity(digits, "cpu", TrainSettings(schedule=name)) for name in ("cosine", "wild"))
    assert other.keys() - plain.keys() == {"code of other packages"}


# -- options of the command


def test_options(cli, tmp_path):
    command = "train --optimizer cr-sam --gamma 0.2 --schedule step --milestones 1 --schedule-gamma 0.5 --epochs 2"
    out = tmp_path / "r"
    outcome = cli(*command.split(), "--warmup-epochs", 0.5, "--batch-size", 700, "--out", out)
    assert outcome.code == 0, outcome
    assert [row["lr"] for row in read_metrics(out)] == [0.1, 0.05]
    settings = json.loads((out / "checkpoint.json").read_text())["settings"]
    assert settings["optimizer"]["gamma"] == 0.2
    assert settings["schedule"] == {"name": "step", "milestones": "1", "gamma": 0.5}
    assert settings["warmup_epochs"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--schedule step --milestones 3 --gamma 0.5",
            "it belongs to --optimizer cr-sam (--schedule-gamma is that of --schedule step)",
        ),
        ("--milestones 3", "--milestones has no effect here: it belongs to --schedule step"),
        ("--schedule constant --final 0.1", "--final has no effect here: it belongs to --schedule cosine"),
        ("--schedule step", "milestones = '' are not increasing epochs"),
        ("--schedule exponential", "unknown schedule 'exponential'; choose one of: cosine, step, constant"),
    ],
)
def test_refused_options(refused, tmp_path, options, message):
    assert message in refused("train", *options.split(), "--out", tmp_path / "r")
    assert list(tmp_path.iterdir()) == []
