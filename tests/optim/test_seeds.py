"""One run for each of several seeds: the same as alone, whatever the number of processes; resumed as a whole."""

import json
from dataclasses import replace

import pytest
import torch
from scipy import stats

from eigensam.ground import InputError
from eigensam.landscapes import Run, load_tensors, read_metrics
from eigensam.optim import TrainSettings, train
from eigensam.optim.training import seed_runs
from eigensam.optim.training.seed_runs import SeedRuns
from eigensam.optim.training.seeds import parse_seeds

SETTINGS = TrainSettings("sam", epochs=2, batch_size=400)
COMMAND = ("train", "--optimizer", "sam", "--epochs", 2, "--batch-size", 400)


def _weights(directory):
    return load_tensors(directory / "checkpoint.safetensors")


def _equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", (3,)), ("0,1,2", (0, 1, 2)), ("0-4", (0, 1, 2, 3, 4)), (" 5, 0-1 ", (5, 0, 1)), ("2-2", (2,))],
)
def test_seeds_as_they_are_typed(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, "is no seed; give some, such as") for text in ("", ",", "1,", "-1", "a", "1.5", "0-", "1-2-3", "²")),
        ("4-0", "4-0 runs down; give 0-4"),
        ("0,0", "0 is there twice"),
        ("0-4,3", "3 is there twice"),
        ("2147483648", "at most 1000 seeds below 2"),
        ("0-1000", "at most 1000 seeds below 2"),
        ("0-700,1000-1700", "1402 seeds are too many"),
    ],
)
def test_what_is_no_list_of_seeds(text, message):
    with pytest.raises(InputError, match=message):
        parse_seeds(text)


@pytest.mark.parametrize("jobs", [1, 2])
def test_each_run_is_the_one_alone(cli, digits, tmp_path, jobs):
    outcome = cli(*COMMAND, "--seeds", "1-3", "--jobs", jobs, "--out", tmp_path / "all", "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["seed-1", "seed-2", "seed-3"]
    for seed in (1, 2, 3):
        alone = train(replace(SETTINGS, seed=seed), digits, tmp_path / f"alone-{seed}")
        assert _equal(_weights(tmp_path / "all" / f"seed-{seed}"), _weights(alone.directory))
        assert Run(tmp_path / "all" / f"seed-{seed}").settings == alone.settings
    found = json.loads((tmp_path / "a.json").read_text())
    assert [each["seed"] for each in found["runs"]] == [1, 2, 3]
    assert "seed" not in found["settings"]
    last = [read_metrics(tmp_path / "all" / f"seed-{seed}")[-1] for seed in (1, 2, 3)]
    for name in ("train_loss", "test_loss", "test_accuracy"):
        values = [row[name] for row in last]
        summary = found["summary"][name]
        low, high = stats.t.interval(0.95, 2, loc=sum(values) / 3, scale=stats.sem(values))
        assert summary == {k: pytest.approx(v) for k, v in (("mean", sum(values) / 3), ("low", low), ("high", high))}
        assert f"{summary['mean']:.5g}" in outcome.out
    assert found["summary"].keys().isdisjoint({"epoch", "lr", "seconds"})


def test_a_single_seed_has_no_interval(cli, tmp_path):
    outcome = cli(*COMMAND, "--seeds", "5", "--out", tmp_path / "all", "--json", tmp_path / "a.json")
    assert outcome.code == 0, outcome
    summary = json.loads((tmp_path / "a.json").read_text())["summary"]["test_loss"]
    assert (summary["low"], summary["high"]) == (None, None)


def test_what_is_finished_is_not_trained_again(cli, refused, digits, tmp_path, monkeypatch):
    """One is finished, one was killed, one has not begun, and one more seed is added."""
    out = tmp_path / "all"
    train(replace(SETTINGS, seed=0), digits, out / "seed-0")

    def kill(step, steps, latest):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(SETTINGS, seed=1), digits, out / "seed-1", progress=kill)
    assert "choose another --out" in refused(*COMMAND, "--seeds", "0-2", "--out", out)
    trained = []
    monkeypatch.setattr(
        seed_runs,
        "train",
        lambda settings, *args, **rest: trained.append(settings.seed) or train(settings, *args, **rest),
    )
    outcome = cli(*COMMAND, "--seeds", "0-2", "--jobs", 1, "--out", out, "--resume")
    assert outcome.code == 0, outcome
    assert "3 seeds, 1 of them there already" in outcome.out
    assert trained == [1, 2]
    for seed in (1, 2):
        alone = train(replace(SETTINGS, seed=seed), digits, tmp_path / f"alone-{seed}")
        assert _equal(_weights(out / f"seed-{seed}"), _weights(alone.directory))
    outcome = cli(*COMMAND, "--seeds", "0-2", "--out", out, "--resume")
    assert outcome.code == 0
    assert trained == [1, 2]
    assert "has lr = 0.1, this command 0.2" in refused(
        *COMMAND, "--lr", 0.2, "--seeds", "0-2", "--out", out, "--resume"
    )


def test_finished_runs_of_other_examples_are_refused(digits, tmp_path):
    other = replace(digits, train_inputs=digits.train_inputs.flip(0))
    train(replace(SETTINGS, seed=0), other, tmp_path / "all" / "seed-0")
    with pytest.raises(InputError, match="was trained on other examples than these"):
        SeedRuns(SETTINGS, (0, 1), tmp_path / "all").missing(None, resume=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_seed_that_fails_says_which_it_is(refused, tmp_path, jobs):
    line = refused(*COMMAND, "--lr", 1e30, "--seeds", "3-4", "--jobs", jobs, "--out", tmp_path / "all")
    assert "seed 3: the loss became" in line or "seed 4: the loss became" in line
    assert not list((tmp_path / "all").glob("*/checkpoint.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--seeds 0,0", "0 is there twice"),
        ("--seeds 0-2 --seed 1", "--seed has no effect here: it belongs to a training without --seeds"),
        ("--jobs 2", "--jobs has no effect here: it belongs to --seeds"),
        ("--seeds 0 --jobs -1", "--jobs -1 is out of range"),
        ("--seeds 0,1 --jobs 1 --batch-size 5000", "exceeds the 1437 training examples"),
        ("--seeds 0,1 --json r/seed-1/metrics.jsonl", "has the name of a file of a run directory"),
        ("--seeds 0,1 --json r/seed-1.partial/a", "--json"),
        ("--seeds 0,1 --json r/seed-0", "--json"),
    ],
)
def test_refusals_leave_nothing_behind(refused, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("train", "--out", "r", *options.split())
    assert list(tmp_path.iterdir()) == []


def test_places_that_are_taken(refused, digits, tmp_path):
    train(replace(SETTINGS, epochs=1), digits, tmp_path / "run")
    assert "is a run itself" in refused(*COMMAND, "--seeds", "0,1", "--out", tmp_path / "run", "--resume")
    (tmp_path / "all" / "seed-1").mkdir(parents=True)
    (tmp_path / "all" / "seed-1" / "notes").touch()
    assert "seed-1 exists already" in refused(*COMMAND, "--seeds", "0,1", "--out", tmp_path / "all", "--resume")
    (tmp_path / "file").touch()
    refused(*COMMAND, "--seeds", "0,1", "--out", tmp_path / "file")
    with pytest.raises(InputError, match="give each once, and at least one"):
        SeedRuns(SETTINGS, (), tmp_path)


def test_after_an_early_stop_the_kept_epoch_counts(tmp_path):
    """A large learning rate: the validation loss soon rises."""
    settings = TrainSettings("sgd", epochs=6, batch_size=200, lr=0.5, subset=400, validation_fraction=0.5, patience=1)
    runs = SeedRuns(settings, (1,), tmp_path / "all")
    list(runs.train("cpu", None, jobs=1))
    rows = runs.runs()[0].metrics
    losses = [row["validation_loss"] for row in rows]
    assert runs.summary()["validation_loss"].mean == min(losses)
    assert losses[-1] > min(losses) or len(losses) == 6
