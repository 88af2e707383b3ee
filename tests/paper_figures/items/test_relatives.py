"""Claims are about CR-SAM and Fisher SAM; costs are counted."""

import pytest

from eigensam.optim.registry import OPTIMIZERS
from eigensam.optim.training.settings import TrainSettings
from eigensam.paper_figures.items.relatives import RELATIVES, Relatives, relatives_sweep
from eigensam.paper_figures.measurements.step_cost import gradients_per_step
from eigensam.paper_figures.resources import Resources
from eigensam.paper_figures.sweep_words import MISSING

from .fabricated import group, texts, words


def result(accuracy=0.7, sharpness=0.5, seeds=3):
    """Values of Eigen-SAM; those of all others are 0.6 and 1."""
    found = []
    for name in ("sgd", "sam", "eigen-sam", *RELATIVES):
        values = (accuracy, sharpness) if name == "eigen-sam" else (0.6, 1.0)
        metrics = dict(zip(("test_accuracy", "lambda_1"), values, strict=True))
        made = group(OPTIMIZERS[name].label, name, seeds=seeds, **metrics)
        found.append({**made, "gradients_per_step": 2.0})
    return found


def test_both_directions():
    claims = Relatives().claims(result())
    assert words(claims) == ["reproduced"] * 4
    assert [("CR-SAM" in claim.claim, "Fisher SAM" in claim.claim) for claim in claims] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert words(Relatives().claims(result(0.5, 2.0))) == ["not reproduced"] * 4


def test_one_seed_missing_keys_and_failures():
    assert words(Relatives().claims(result(seeds=1))) == ["not resolved here"] * 4
    found = result()
    found[3]["seeds"] = [{"seed": seed, "failed": "diverged"} for seed in range(3)]  # CR-SAM
    assert words(Relatives().claims(found)) == ["not resolved here"] * 2 + ["reproduced"] * 2
    assert MISSING in texts(Relatives().tables(found)[0])
    assert len([note for note in Relatives().notes(found) if "diverged" in note]) == 3
    Relatives().plot(found)
    assert Relatives().claims(found[:3]) == []


def test_edited_numbers_are_shown():
    found = result()
    found[0]["gradients_per_step"] = 7.25
    assert "7.25" in texts(Relatives().tables(found)[0])
    line = Relatives().plot(found).axes[0].containers[2][0]
    assert line.get_xdata()[0] == pytest.approx(70, rel=0.01)


def test_settings_are_listed():
    rows = {row[0]: row for row in Relatives().tables(result())[0].rows}
    assert "γ 0.1, β 0.01" in rows["CR-SAM"][-1]
    assert rows["SGD"][-1] == ""


def test_sweep_has_short_intervals():
    methods = [run.method for run in relatives_sweep(TrainSettings(), refresh_every=7, seeds=(0,)).runs()]
    assert {m.refresh_every for m in methods if hasattr(m, "refresh_every")} == {7}
    assert len(methods) == 3 + len(RELATIVES)


def test_costs():
    """Of methods without Hessian products as docs/optimizers.md lists them; a product costs between 1 and 3."""
    passes = {"sgd": 1, "sam": 2, "cr-sam": 3, "gsam": 2, "frob-sam": 3, "m-sam": 2, "momentum-sam": 1}
    for name, expected in passes.items():
        found = gradients_per_step(TrainSettings(name, model="mlp32"), (1, 8, 8), 10)
        assert found == pytest.approx(expected, rel=1e-6), name
    every = {k: OPTIMIZERS["eigen-sam"](refresh_every=k, iterations=5) for k in (1, 10)}
    costs = {k: gradients_per_step(TrainSettings(m, model="mlp32"), (1, 8, 8), 10) for k, m in every.items()}
    assert 2 + 6 < costs[1] < 2 + 16
    assert costs[10] - 2 == pytest.approx((costs[1] - 2) / 10, rel=1e-6)


def test_a_real_run(tmp_path):
    settings = TrainSettings(subset=64, batch_size=32, epochs=1, model="mlp32", spectrum_every=1)
    item = Relatives(relatives_sweep(settings, ("cr-sam",), seeds=(0,)))
    found = item.measure(Resources(tmp_path), lambda done, total: None)
    assert [round(each["gradients_per_step"], 1) for each in found[:2]] == [1.0, 2.0]
    assert MISSING not in texts(item.tables(found)[0])
