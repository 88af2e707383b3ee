"""``eigensam spectrum`` on a trained run."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import cross_entropy

from eigensam.ground import InputError
from eigensam.landscapes import (
    Checkpoint,
    GaussNewton,
    NetworkFunction,
    NetworkLandscape,
    SpectrumSettings,
    top_eigenpairs,
)


def test_spectrum(cli, trained, tmp_path, digits):
    outcome = cli("spectrum", trained, "--top", 3, "--json", tmp_path / "s.json")
    assert outcome.code == 0
    assert "matrix-vector products over 1437 examples" in outcome.out
    result = json.loads((tmp_path / "s.json").read_text())
    assert {"eigenvalues", "residuals", "products", "converged"} <= result.keys()
    assert result["converged"] is True
    assert result["examples"] == 1437
    model = Checkpoint.read(trained).network(trained).double()
    f = NetworkLandscape.from_tensors(model, cross_entropy, digits.train_inputs.double(), digits.train_targets)
    truth = top_eigenpairs(f, f.point(), 3, tolerance=1e-8)
    assert result["eigenvalues"] == pytest.approx(truth.values.tolist(), rel=1e-4)


def test_density_plot_and_both_ends(cli, trained, tmp_path, digits):
    """On the last layer, whose Gauss-Newton matrix is its Hessian: the trace against the dense one."""
    options = ["--parameters", "5.*", "--batches", 1, "--double", "--which", "both", "--density", "--probes", 20]
    files = ["--json", tmp_path / "s.json", "--plot", tmp_path / "s.png"]
    outcome = cli("spectrum", trained, *options, *files)
    assert outcome.code == 0
    assert "estimates, not certificates" in outcome.out
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((tmp_path / "s.json").read_text())
    model = Checkpoint.read(trained).network(trained).double()
    network = NetworkFunction(model, cross_entropy, parameters=["5.*"])
    batch = digits.train_inputs[:500].double(), digits.train_targets[:500]
    spectrum = torch.linalg.eigvalsh(GaussNewton(network, [batch]).dense())
    assert result["dim"] == network.dim == len(spectrum)
    assert result["eigenvalues"] == pytest.approx([float(spectrum[-1]), float(spectrum[0])], rel=1e-3, abs=1e-3)
    assert result["bound"]["lower"] <= float(spectrum[0]) <= float(spectrum[-1]) <= result["bound"]["upper"]
    trace = result["estimates"]["trace"]
    assert trace["value"] == pytest.approx(float(spectrum.sum()), abs=3 * trace["standard_error"])
    mass = torch.trapezoid(torch.tensor(result["density"]["density"]), torch.tensor(result["density"]["grid"]))
    assert float(mass) == pytest.approx(1, abs=1e-6)


def test_the_check_of_products_is_said_and_can_be_switched_off(cli, trained, tmp_path):
    said = {}
    for flag in ("--check", "--no-check"):
        outcome = cli("spectrum", trained, flag, "--batches", 1, "--json", tmp_path / "s.json")
        said[flag] = json.loads((tmp_path / "s.json").read_text())["checked"]
        assert f"check of the products: {said[flag]}" in outcome.out
    assert said["--check"].startswith("within ")
    assert said["--no-check"] == "not checked: switched off"


@pytest.mark.parametrize("operator", ["gauss-newton", "fisher"])
def test_other_operators(cli, trained, tmp_path, operator):
    outcome = cli("spectrum", trained, "--operator", operator, "--batches", 1, "--json", tmp_path / "s.json")
    assert outcome.code == 0
    result = json.loads((tmp_path / "s.json").read_text())
    assert result["eigenvalues"][0] > 0
    assert result["bound"]["lower"] >= 0


def test_train_mode_uses_whole_minibatches(cli, trained, tmp_path):
    outcome = cli("spectrum", trained, "--mode", "train", "--batches", 2, "--json", tmp_path / "s.json")
    assert outcome.code == 0
    assert json.loads((tmp_path / "s.json").read_text())["examples"] == 1000


def test_says_when_not_converged(cli, trained, tmp_path):
    outcome = cli("spectrum", trained, "--max-products", 2, "--batches", 1, "--double", "--json", tmp_path / "s.json")
    assert outcome.code == 0
    assert "NOT converged" in outcome.out
    assert json.loads((tmp_path / "s.json").read_text())["converged"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", 0], "--top 0 is out of range"),
        (["--top", 10**6], "k = 1000000 eigenpairs"),
        (["--max-products", 0], "--max-products 0 is out of range"),
        (["--seed", 10**30], "is out of range"),
        (["--tolerance", -1], "--tolerance -1.0 is no relative accuracy"),
        (["--which", "middle"], "middle"),
        (["--delta", 0], "delta = 0.0 is not a probability"),
        (["--operator", "jacobian"], "unknown operator 'jacobian'; choose one of: hessian, gauss-newton, fisher"),
        (["--parameters", "conv*"], "no trainable parameter matches 'conv*'"),
        (["--density", "--probes", 1], "--probes 1 is out of range"),
        (["--plot", "picture.gif"], "end its name in .svg, .pdf or .png"),
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
    assert "the point holds NaN or infinity" in refused("spectrum", copy)


def test_the_flags_are_known_without_torch():
    """Help and refusals wait for no library that computes or draws."""
    heavy = ("torch", "scipy", "matplotlib", "sklearn", "sympy", "torchvision")
    program = f"import eigensam.landscapes.commands, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    wrong = program.replace("landscapes.commands", "landscapes.measured_spectrum")  # wrong on purpose: it sees them
    found = subprocess.run([sys.executable, "-c", wrong], capture_output=True, text=True, check=True)
    assert "torch" in found.stdout


def test_what_is_printed_of_a_bound_is_what_it_says_of_itself(cli, trained, tmp_path):
    for flags, kind, text in (
        ([], "estimate", "(estimate in float32; with --double a certificate)"),
        (["--double"], "certificate", "(certificate up to rounding)"),
    ):
        outcome = cli("spectrum", trained, "--batches", 1, *flags, "--json", tmp_path / "s.json")
        assert text in " ".join(outcome.out.split())
        assert json.loads((tmp_path / "s.json").read_text())["bound"]["kind"] == kind


@pytest.mark.parametrize(("name", "value"), [("top", "x"), ("probes", 2.5), ("density", "no")])
def test_types_of_settings(name, value):
    with pytest.raises(InputError, match=f"{name} = .* is not of type"):
        SpectrumSettings(**{name: value})
