"""``eigensam spectrum`` on a trained run."""

import json
import shutil

import pytest
import torch
from torch.nn.functional import cross_entropy

from eigensam.landscapes import Checkpoint, NetworkLandscape, top_eigenpairs


def test_spectrum(cli, trained, tmp_path, digits):
    outcome = cli("spectrum", trained, "--top", 3, "--json", tmp_path / "s.json")
    assert outcome.code == 0
    assert "Hessian-vector products" in outcome.out
    result = json.loads((tmp_path / "s.json").read_text())
    assert {"eigenvalues", "residuals", "hvps", "converged"} <= result.keys()
    assert result["converged"] is True
    assert result["examples"] == 1437
    model = Checkpoint.read(trained).network(trained).double()
    f = NetworkLandscape.from_tensors(model, cross_entropy, digits.train_inputs.double(), digits.train_targets)
    truth = top_eigenpairs(f, f.point(), 3, tolerance=1e-8)
    assert result["eigenvalues"] == pytest.approx(truth.values.tolist(), rel=1e-4)


def test_train_mode_uses_whole_minibatches(cli, trained, tmp_path):
    outcome = cli("spectrum", trained, "--mode", "train", "--batches", 2, "--json", tmp_path / "s.json")
    assert outcome.code == 0
    assert json.loads((tmp_path / "s.json").read_text())["examples"] == 1000


def test_says_when_not_converged(cli, trained, tmp_path):
    outcome = cli("spectrum", trained, "--max-hvps", 2, "--batches", 1, "--double", "--json", tmp_path / "s.json")
    assert outcome.code == 0
    assert "NOT converged" in outcome.out
    assert json.loads((tmp_path / "s.json").read_text())["converged"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", 0], "k = 0 eigenpairs"),
        (["--max-hvps", 0], "--max-hvps 0 is out of range"),
        (["--seed", 10**30], "is out of range"),
        (["--tolerance", -1], "tolerance = -1.0 is not positive"),
        (["--mode", "test"], "unknown mode 'test'; choose one of: train, eval"),
        (["--batches", -1], "--batches -1 is out of range"),
        (["--batch-size", 0], "--batch-size 0 is out of range"),
        (["--mode", "train", "--batch-size", 5000], "batch size 5000 does not fit"),
        (["--device", "tpu9"], "no usable device 'tpu9'"),
    ],
)
def test_refusals(refused, trained, tmp_path, options, message):
    assert message in refused("spectrum", trained, *options, "--json", tmp_path / "s.json")
    assert not (tmp_path / "s.json").exists()


def test_damaged_run(refused, trained, tmp_path):
    assert "is not a finished run" in refused("spectrum", tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    (copy / "checkpoint.safetensors").write_bytes(b"\x80\x04\x95 pickle")
    assert "pickles are refused" in refused("spectrum", copy)


def test_nan_parameters(refused, trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    checkpoint = Checkpoint.read(copy)
    model = checkpoint.network(copy)
    torch.nn.init.constant_(next(model.parameters()), float("nan"))
    checkpoint.save(copy, model, model.state_dict())
    assert "product 1 is not finite" in refused("spectrum", copy)
