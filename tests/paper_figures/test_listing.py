"""What there is and what it takes, before any work."""

import json

import pytest

from eigensam.optim import SAMSettings, SGDSettings, TrainSettings
from eigensam.paper_figures import ITEMS, PRESETS, Preset, step_times
from eigensam.paper_figures.items.k_table import KTable
from eigensam.paper_figures.planned_run import PlannedRun
from eigensam.paper_figures.step_times import gradients_of_a_step, measure_gradient, seconds_of
from eigensam.paper_figures.sweep import Sweep

SHORT = TrainSettings(SGDSettings(), data="digits", model="mlp32", epochs=2, batch_size=240, spectrum_every=2)
SWEEP = Sweep.over({"SAM": SHORT, "k = 1": TrainSettings(data="digits", model="mlp32", epochs=1)}, seeds=(0, 1))


@pytest.fixture
def preset(monkeypatch):
    monkeypatch.setitem(PRESETS._entries, "tiny", (1.0, lambda: Preset("tiny", {"k_table": KTable(SWEEP)})))


def test_a_list_has_every_item_and_costs_nothing(cli, tmp_path):
    outcome = cli("figures", "--list", "--json", tmp_path / "a.json", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome
    found = json.loads((tmp_path / "a.json").read_text())
    assert [each["name"] for each in found["items"]] == list(ITEMS)
    assert all(each["seconds_here"] is None for each in found["items"])
    assert sum(each["in_the_paper"] for each in found["items"]) >= 9
    assert not (tmp_path / "out").exists()


def test_a_plan_lists_trainings_and_trains_nothing(cli, preset, tmp_path):
    args = ("figures", "--preset", "tiny", "--dry-run", "--out", tmp_path / "out", "--device", "cpu")
    outcome = cli(*args, "--json", tmp_path / "a.json", "--jobs", 2)
    assert outcome.code == 0, outcome
    (row,) = (found := json.loads((tmp_path / "a.json").read_text()))["items"]
    assert (row["runs"], row["cached"], row["steps"]) == (4, 0, 2 * (2 * 5 + 22))
    assert row["seconds"] > 0
    assert found["jobs"] == 2
    assert any("2 x 10 steps" in line for line in row["trainings"])
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_planned_again(cli, preset, tmp_path):
    from eigensam.paper_figures import Resources
    from eigensam.paper_figures.training_runs import train_runs

    train_runs(SWEEP.of("SAM"), Resources(tmp_path / "out"))
    args = ("figures", "--preset", "tiny", "--dry-run", "--out", tmp_path / "out", "--device", "cpu")
    assert cli(*args, "--json", tmp_path / "a.json").code == 0
    (row,) = json.loads((tmp_path / "a.json").read_text())["items"]
    assert (row["cached"], row["steps"]) == (2, 2 * 22)


def test_more_seeds_are_more_trainings(cli, preset, tmp_path):
    args = ("figures", "--preset", "tiny", "--dry-run", "--out", tmp_path / "out", "--device", "cpu", "--seeds", 5)
    assert cli(*args, "--json", tmp_path / "a.json").code == 0
    (row,) = json.loads((tmp_path / "a.json").read_text())["items"]
    assert row["runs"] == 10


def test_gradients_are_timed(monkeypatch):
    """Those of a large minibatch that would take long are extrapolated, and say so."""
    run = PlannedRun("a", TrainSettings(SAMSettings(), model="mlp32", batch_size=128), 10, (1, 8, 8), 10, False)
    assert not measure_gradient(run, "cpu").scaled
    monkeypatch.setattr(step_times, "_LONGEST", 0.0)
    found = measure_gradient(run, "cpu")
    assert found.scaled
    assert found.seconds > 0


def test_the_time_of_a_run(monkeypatch):
    """Steps, and for each look 30 products of 2,000 examples at two gradients each."""
    monkeypatch.setattr(step_times, "gradients_of_a_step", lambda settings: 2.5)
    run = PlannedRun("a", TrainSettings("sam", batch_size=100), 10, (1, 8, 8), 10, False, measurements=2)
    assert seconds_of(run, 0.1) == pytest.approx((10 * 2.5 + 2 * 30 * 2 * 20) * 0.1)


@pytest.mark.parametrize("optimizer", ["m-sam", "egr", "plain"])
def test_every_kind_of_step_can_be_counted(optimizer):
    assert gradients_of_a_step(TrainSettings(optimizer)) > 0


@pytest.mark.parametrize("options", [("--list", "--dry-run"), ("--from-json", "--dry-run"), ("--list", "--from-json")])
def test_one_thing_at_a_time(refused, tmp_path, options):
    assert "exclude one another" in refused("figures", "--out", tmp_path / "out", *options)


def test_what_estimates_cost_is_what_is_counted():
    """The formula of the k table against a count of all multiplications, first layers aside."""
    from eigensam.optim import EigenSAMSettings
    from eigensam.paper_figures.estimate_overhead import estimate_overhead

    for p, k in ((5, 10), (2, 10), (5, 100)):
        method = EigenSAMSettings(iterations=p, refresh_every=k, solver="power", guard=0.0)
        counted = gradients_of_a_step(TrainSettings(method)) / 2 - 1
        assert counted == pytest.approx(estimate_overhead(p, k), rel=0.08)
        assert counted != pytest.approx(2 * p / k, rel=0.3)  # wrong on purpose: products over steps, times two
