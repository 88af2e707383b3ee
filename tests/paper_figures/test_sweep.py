"""Sweeps: means and pairs of what was measured, also where seeds failed."""

import math

import pytest

from eigensam.ground.errors import InputError
from eigensam.optim import SAMSettings, SGDSettings, TrainSettings
from eigensam.paper_figures import Resources
from eigensam.paper_figures.sweep import Sweep, curve, last, paired_differences, paired_last, shared_settings
from eigensam.paper_figures.sweep_words import failures, mean_text, seeds_of, shared_budget

SHORT = TrainSettings(data="digits", model="mlp32", epochs=2, batch_size=240)


def group(values, name="a", key="x"):
    """Runs of two epochs whose last metric has these values; None is a run that failed."""
    seeds = [
        {"seed": seed, "failed": "it diverged"}
        if value is None
        else {"seed": seed, "rows": [{"epoch": 1, key: 9.0}, {"epoch": 2, key: value}]}
        for seed, value in enumerate(values)
    ]
    return {"name": name, "seeds": seeds, "examples": 80, "settings": SHORT.to_dict()}


def test_pairs_are_of_the_same_seed():
    over, under = group([1.0, None, 3.0, 5.0]), group([1.0, 2.0, None, 4.0])
    assert paired_differences(over, under, "x") == [0.0, 1.0]
    assert paired_differences(over, under, "x", ratio=True) == [1.0, 1.25]
    assert paired_last(over, under, "x", scale=100.0).mean == 50.0
    assert last(over, "x").mean == 3.0
    # wrong on purpose: differences of means are not means of pairs
    assert last(over, "x").mean - last(under, "x").mean != paired_last(over, under, "x").mean


def test_nothing_in_common():
    assert math.isnan(paired_last(group([None, 1.0]), group([1.0, None]), "x").mean)
    assert math.isnan(last(group([1.0]), "nowhere").mean)
    assert mean_text(last(group([None]), "x")) == "\N{EN DASH}"
    assert curve(group([None]), "x") == ([], [])


def test_curves_are_of_epochs_that_all_runs_have():
    ragged = group([1.0, 2.0])
    ragged["seeds"][0]["rows"][0].pop("x")
    epochs, found = curve(ragged, "x", math.log)
    assert epochs == [2]
    assert found[0].mean == pytest.approx(math.log(2) / 2)


def test_words():
    groups = [group([1.0, None]), group([1.0, 2.0], "b")]
    assert failures(groups) == ["a, seed 1: failed (it diverged); means are over the other seeds."]
    assert seeds_of(groups) == "1 to 2 seeds with 95 % intervals"
    assert seeds_of(groups[:1]) == "one seed, so there is no interval"
    assert "same 80 examples of digits" in shared_budget(groups)
    groups[1]["examples"] = 40
    assert "40 examples" in shared_budget(groups)
    assert "80 examples" in shared_budget(groups)


def test_settings_in_lines():
    found = shared_settings([TrainSettings(method).to_dict() for method in (SGDSettings(), SAMSettings())])
    assert found["optimizer"] == "sgd or sam, rho 0.1"
    assert found["base"] == "sgd, momentum 0.9, nesterov False"
    assert "seed" not in found


@pytest.mark.parametrize("wrong", [{"groups": ()}, {"seeds": ()}, {"seeds": (0, 0)}])
def test_refusals(wrong):
    with pytest.raises(InputError, match="at least one of both"):
        Sweep(**{"groups": (("a", SHORT),), **wrong})


def test_a_sweep_that_is_run(tmp_path):
    """A group whose runs diverge is reported beside one whose runs do not; if all do, there is no result."""
    from dataclasses import replace

    good, bad = replace(SHORT, optimizer=SGDSettings()), replace(SHORT, optimizer=SGDSettings(), lr=1e30)
    sweep = Sweep.over({"good": good, "bad": bad}, seeds=(0,))
    found = sweep.measure(Resources(tmp_path), lambda *_: None)
    assert [each["name"] for each in found] == ["good", "bad"]
    assert found[0]["seeds"][0]["rows"][-1]["epoch"] == 2
    assert "the loss became" in found[1]["seeds"][0]["failed"]
    assert sweep.with_seeds(3).seeds == (0, 1, 2)
    with pytest.raises(InputError, match="all 1 trainings failed"):
        Sweep.over({"bad": bad}, seeds=(0,)).measure(Resources(tmp_path), lambda *_: None)
