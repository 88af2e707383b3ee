"""Runs that items share: made once, failures named, a killed process tried again."""

import os
import signal
from dataclasses import replace

import pytest

from eigensam.optim import SAMSettings, SGDSettings, TrainSettings
from eigensam.paper_figures import Resources, training_runs
from eigensam.paper_figures.training_runs import (
    is_done,
    made_with,
    planned_runs,
    run_directories,
    run_label,
    train_runs,
)

SHORT = TrainSettings(SGDSettings(), data="digits", model="mlp32", epochs=1, batch_size=240)


def test_a_run_is_made_once(tmp_path, monkeypatch):
    runs = [SHORT, replace(SHORT, seed=1)]
    told = []
    assert train_runs(runs, Resources(tmp_path), lambda *step: told.append(step)) == {}
    assert told == [(0, 2), (1, 2), (2, 2)]
    folders = run_directories(runs, Resources(tmp_path))
    assert all(map(is_done, folders.values()))
    assert len({path.name for path in folders.values()}) == 2
    monkeypatch.setattr(training_runs, "train", lambda *_, **__: pytest.fail("trained again"))
    assert train_runs(runs, Resources(tmp_path)) == {}
    assert made_with(folders.values())["dtype"] == "float32"


def test_another_setting_is_another_run(tmp_path):
    """Also where it is the optimizer's, the schedule's or the network's."""
    others = [
        SHORT,
        replace(SHORT, lr=0.05),
        replace(SHORT, optimizer=SAMSettings()),
        replace(SHORT, optimizer=SAMSettings(rho=0.2)),
        replace(SHORT, schedule="constant"),
        replace(SHORT, model="mlp"),
        replace(SHORT, optimizer="plain", base="adam"),
    ]
    assert len(set(run_directories(others, Resources(tmp_path)).values())) == len(others)


def test_a_run_that_fails_leaves_the_others(tmp_path):
    diverging = replace(SHORT, lr=1e30, epochs=2)
    failed = train_runs([diverging, SHORT], Resources(tmp_path))
    assert list(failed) == [diverging]
    assert "the loss became" in failed[diverging]
    assert is_done(run_directories([SHORT], Resources(tmp_path))[SHORT])


def test_an_unexpected_error_is_that_runs_own(tmp_path, monkeypatch):
    def broken(settings, *_, **__):
        raise RuntimeError("out of memory: 3 GiB")

    monkeypatch.setattr(training_runs, "train", broken)
    assert train_runs([SHORT], Resources(tmp_path)) == {SHORT: "RuntimeError: out of memory: 3 GiB"}


def test_a_process_that_dies_takes_nobody_with_it(tmp_path, monkeypatch):
    def dies(settings, *rest):  # of this function, so that it is sent to the process by its code
        from eigensam.paper_figures.training_runs import _train_one

        if settings.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return _train_one(settings, *rest)

    monkeypatch.setattr(training_runs, "_train_one", dies)
    runs = [replace(SHORT, seed=seed) for seed in range(3)]
    failed = train_runs(runs, Resources(tmp_path, jobs=2))
    assert [run.seed for run in failed] == [1]
    assert "was killed" in failed[runs[1]]
    folders = run_directories(runs, Resources(tmp_path))
    assert [is_done(folders[run]) for run in runs] == [True, False, True]


def test_plans(tmp_path):
    """Steps of a plan are those that a training takes; data that are not here are planned by their known size."""
    run = replace(SHORT, epochs=3, spectrum_every=2)
    (plan,) = planned_runs([run], Resources(tmp_path))
    assert (plan.steps, plan.shape, plan.classes, plan.done, plan.measurements) == (15, (1, 8, 8), 10, False, 2)
    (kept,) = planned_runs([replace(run, validation_fraction=0.5)], Resources(tmp_path))
    assert kept.steps == 6
    (far,) = planned_runs([replace(run, data="cifar100", model="resnet18", batch_size=256)], Resources(tmp_path))
    assert (far.steps, far.shape, far.classes, far.data_here) == (3 * 195, (3, 32, 32), 100, False)
    assert run_label(run) == "SGD, mlp32 on digits, seed 0"
