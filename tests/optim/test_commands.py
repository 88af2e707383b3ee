"""``eigensam train``."""

import json

import pytest
from filelock import FileLock


def test_train_writes_a_run_and_json(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = cli(
        "train", "--data", "digits", "--model", "mlp", "--optimizer", "eigen-sam", "--epochs", 1, "--seed", 3,
        "--out", "runs/a", "--json", "a.json",
    )  # fmt: skip
    assert outcome.code == 0, outcome
    assert "into runs/a" in outcome.out
    assert {p.name for p in (tmp_path / "runs" / "a").iterdir()} == {
        "checkpoint.json", "checkpoint.safetensors", "initial.safetensors", "metrics.jsonl", "settings.json",
    }  # fmt: skip
    result = json.loads((tmp_path / "a.json").read_text())
    assert result["settings"]["seed"] == 3
    assert result["metrics"] == [json.loads((tmp_path / "runs" / "a" / "metrics.jsonl").read_text())]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "iris"], "unknown data 'iris'"),
        (["--model", "gpt"], "unknown model 'gpt'"),
        (["--optimizer", "adam"], "unknown optimizer 'adam'"),
        (["--data", "mnist"], "give --data-root FOLDER"),
        (["--data", "mnist", "--data-root", "nowhere"], "data root nowhere is not a folder"),
        (["--rho", 0], "rho = 0.0 must be positive"),
        (["--rho", -0.1], "rho = -0.1 must be positive"),
        (["--lr", "1e30", "--optimizer", "sgd"], "the loss became"),
        (["--lr", "1e30", "--refresh-every", 1], "the loss became nan at step 2 of epoch 1; lower --lr"),
        (["--lr", "nan"], "lr = nan is out of range"),
        (["--batch-size", 5000], "exceeds the 1437 training examples"),
        (["--out", "x" * 300], "File name too long"),
        (["--device", "tpu9"], "no usable device 'tpu9'"),
    ],
)
def test_refusals_leave_nothing_behind(refused, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    out = () if "--out" in options else ("--out", "runs/a")
    assert message in refused("train", *out, *options, "--json", "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_busy_run_is_not_to_be_resumed(refused, tmp_path):
    (tmp_path / "r.partial").mkdir()
    with FileLock(tmp_path / "r.partial" / "lock"):
        for option in ([], ["--resume"]):
            line = refused("train", "--out", tmp_path / "r", *option)
            assert "another process is writing" in line
            assert "--resume" not in line
    (tmp_path / "r.partial" / "lock").touch()  # of a run that was killed
    assert "add --resume" in refused("train", "--out", tmp_path / "r")


@pytest.mark.parametrize("out", [".", "..", "../here", "link"])
def test_the_folder_that_one_stands_in_is_not_replaced(refused, tmp_path, monkeypatch, out):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(".")
    monkeypatch.chdir(tmp_path / "here")
    assert "holds the folder that the command runs in" in refused("train", "--epochs", 1, "--out", out)
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "link"]


def test_existing_out(refused, tmp_path):
    (tmp_path / "notes").touch()
    assert "exists already" in refused("train", "--out", tmp_path)
