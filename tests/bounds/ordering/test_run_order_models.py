"""``eigensam order-models``: a small grid from the command line, again, after a kill, and what is refused."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from eigensam.bounds import BoundedCrossEntropy, OrderSettings
from eigensam.bounds.ordering.measures import CONTROLS, MEASURES, measure_run
from eigensam.bounds.ordering.model_runs import ModelRuns
from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Run, top_eigenpairs

GRID = ("--model", "linear", "--optimizers", "sgd,sam", "--rhos", "0.1", "--batch-sizes", "16,64", "--lrs", "0.05,0.2")
SMALL = (*GRID, "--seeds", 1, "--epochs", 3, "--subset", 200, "--keep-unfitted", "--resamples", 100)


@pytest.fixture(scope="module")
def settings():
    return OrderSettings(
        model="linear",
        rhos="0.1",
        batch_sizes="16,64",
        lrs="0.05,0.2",
        seeds=1,
        epochs=3,
        subset=200,
        keep_unfitted=True,
        resamples=100,
    )


@pytest.fixture(scope="module")
def done(settings, digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("ordering") / "out"
    return out, ModelRuns(settings, digits, out).measure(1, lambda done, of: None)


def test_measures_of_a_run(done, digits):
    out, records = done
    assert len(records) == 8
    assert {*MEASURES, *CONTROLS, "gap", "error_gap", "held_out_error"} <= records[0].keys()
    name = next(path.name for path in (out / "runs").iterdir() if path.name.startswith("sgd-b16-lr0.05"))
    record = next(r for r in records if (r["method"], r["batch_size"], r["lr"]) == ("sgd", 16, 0.05))
    run = Run(out / "runs" / name)
    part, model, loss = run.data(), run.network().double(), BoundedCrossEntropy(1e-3)
    seen = set(run.examples.train.tolist())
    unseen = torch.tensor([i for i in range(len(digits.train_targets)) if i not in seen])
    inputs = torch.cat([digits.train_inputs[unseen], digits.test_inputs]).double()
    targets = torch.cat([digits.train_targets[unseen], digits.test_targets])
    with torch.no_grad():
        held_out, training = (
            float(loss(model(x), y)) for x, y in ((inputs, targets), (part.train_inputs.double(), part.train_targets))
        )
        error = float((model(inputs).argmax(1) != targets).double().mean())
    assert record["held_out_examples"] == len(targets) == 1237 + 360
    assert record["gap"] == pytest.approx(held_out - training, rel=1e-9)
    assert record["held_out_error"] == pytest.approx(error)
    f = NetworkLandscape.from_tensors(model, loss, part.train_inputs.double(), part.train_targets)
    assert record["lambda_1"] == pytest.approx(float(top_eigenpairs(f, f.point(), tolerance=1e-6).values[0]), rel=1e-3)
    trace = sum(float(f.hessian_product(f.point(), e)[i]) for i, e in enumerate(torch.eye(f.dim).double()))
    assert record["trace"] == pytest.approx(trace, rel=0.5)
    assert record["steps"] == 36
    start = torch.cat([p.flatten() for p in run.network(initial=True).double().parameters()]).detach()
    assert record["distance"] == pytest.approx(float((f.point() - start).norm()), rel=1e-9)


def test_interrupted_and_repeated_it_is_the_same(done, settings, digits, tmp_path):
    """Half of the records lost, one run lost as well: the same numbers to the last bit; kept ones are not touched."""
    out, records = done
    shutil.copytree(out, tmp_path / "out")
    paths = sorted((tmp_path / "out" / "records").iterdir())
    kept = {path: path.stat().st_mtime_ns for path in paths[4:]}
    for path in paths[:4]:
        path.unlink()
    shutil.rmtree(tmp_path / "out" / "runs" / paths[0].stem)
    runs = ModelRuns(settings, digits, tmp_path / "out")
    assert runs.missing() == 4
    assert runs.measure(1, lambda done, of: None) == records
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_two_processes_give_the_same(done, settings, digits, tmp_path):
    out, records = done
    shutil.copytree(out / "runs", tmp_path / "out" / "runs")
    assert ModelRuns(settings, digits, tmp_path / "out").measure(2, lambda done, of: None) == records


def test_command(cli, done, tmp_path):
    out, _ = done
    shutil.copytree(out, tmp_path / "out")
    outcome = cli(
        "order-models", *SMALL, "--out", tmp_path / "out", "--json", tmp_path / "a.json", "--plot", tmp_path / "a.svg"
    )
    assert outcome.code == 0, outcome.err
    found = json.loads((tmp_path / "a.json").read_text())
    assert len(found["records"]) == 8
    assert len(found["rankings"]) == 4 * len(MEASURES)
    for sentence in found["words"]:
        assert sentence in outcome.out.replace("\n", " ")
    plan = cli("order-models", *SMALL, "--out", tmp_path / "out", "--dry-run")
    assert "8 models, 0 of them are not there yet" in plan.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizers", "sgd,sgd"], "give at least one, and each once"),
        (["--optimizers", "adamx"], "unknown optimizer 'adamx'"),
        (["--rhos", "a"], "holds what is no number"),
        (["--rhos", "0.1", "--batch-sizes", "16", "--lrs", "0.1"], "are too few to order"),
        (["--seeds", 0], "seeds = 0 is no number of trainings"),
        (["--fitted", 2], "is no accuracy"),
        (["--resamples", 5], "are too few"),
        (["--model", "mlpx"], "unknown model"),
        (["--lrs", "-0.1,0.2"], "lr = -0.1"),
        (["--jobs", 0], "--jobs 0"),
    ],
)
def test_refusals(refused, tmp_path, options, message):
    assert message in refused("order-models", "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_damaged_record_is_refused(done, settings, digits, tmp_path):
    out, _ = done
    shutil.copytree(out, tmp_path / "out")
    path = sorted((tmp_path / "out" / "records").iterdir())[0]
    record = json.loads(path.read_text())
    record["result"]["lambda_1"] *= 2
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="its result was changed after it was measured"):
        ModelRuns(settings, digits, tmp_path / "out").measure(1, lambda done, of: None)


def test_a_training_that_diverges_does_not_stop_the_others(settings, digits, tmp_path):
    wild = replace(settings, lrs="0.05,1e20", optimizers="sgd,sam", batch_sizes="16,32")
    records = ModelRuns(wild, digits, tmp_path / "out").measure(1, lambda done, of: None)
    assert sum("failed" in each for each in records) == 4
    assert all(each["lr"] == 1e20 for each in records if "failed" in each)


def test_a_diverged_run_is_named(done, digits, monkeypatch):
    out, _ = done
    run = Run(next((out / "runs").iterdir()))
    monkeypatch.setattr("eigensam.bounds.ordering.measures._widest", lambda f, x: float("nan"))
    with pytest.raises(InputError, match="sharpness, pac_bayes not finite"):
        measure_run(run, digits, delta=0.05, p_min=1e-3)
