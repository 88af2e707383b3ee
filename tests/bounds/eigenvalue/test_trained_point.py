"""The bound of a run directory: ingredients against dense ones, and what is said about them."""

import dataclasses
import shutil

import pytest
import torch

from eigensam.bounds import BoundedCrossEntropy, Theorem41, estimate_fourth_derivative
from eigensam.bounds.eigenvalue.trained_point import _assumptions
from eigensam.ground import InputError
from eigensam.landscapes import Checkpoint, NetworkLandscape, build_model, load_tensors, top_eigenpairs
from eigensam.landscapes.runs.wide_resnet import WideResNet
from eigensam.optim import TrainSettings, train


@pytest.fixture(scope="module")
def result(trained, digits):
    seen = []
    return Theorem41(batch_size=10_000).bound(trained, digits, progress=seen.append)


def test_ingredients(result, trained, digits):
    model = Checkpoint.read(trained).network(trained).double()
    loss = BoundedCrossEntropy(1e-3)
    f = NetworkLandscape.from_tensors(model, loss, digits.train_inputs.double(), digits.train_targets)
    outputs = model(digits.train_inputs.double()).detach()
    assert result.terms[0].value == pytest.approx(loss(outputs, digits.train_targets).item(), rel=1e-9)
    top = top_eigenpairs(f, f.point(), tolerance=1e-7)
    assert result.details["lambda_1"] == pytest.approx(top.values.item(), rel=1e-5)
    along_top = estimate_fourth_derivative(f, f.point(), top.vectors)
    assert result.details["k4_estimate"] >= along_top * (1 - 1e-3) > 0
    initial, trained_state = load_tensors(trained / "initial.safetensors"), model.state_dict()
    distance = sum((trained_state[name] - initial[name].double()).square().sum().item() for name in initial)
    assert result.details["squared_distance"] == pytest.approx(distance, rel=1e-9)
    assert (result.details["dim"], result.details["examples"]) == (f.dim, 1437)


def test_what_is_said(result, trained, digits):
    model = Checkpoint.read(trained).network(trained).double()
    outputs = model(digits.test_inputs.double()).detach()
    whole_test_loss = BoundedCrossEntropy(1e-3)(outputs, digits.test_targets).item()
    assert result.vacuous  # 10^5 parameters, 1437 examples
    assert result.kind == "estimate"
    text = " ".join(result.assumptions)
    for word in ("independent draws", "randomised predictor", "Ritz value", "initialisation", "f_D(x) <= E f_D(x + e)"):
        assert word in text
    assert text.count("of differences (float64, 8 examples)") == 2  # products, and the fourth derivative
    assert result.details["test_loss_at_x"] == pytest.approx(whole_test_loss, rel=1e-9)
    assert result.details["test_loss_at_x"] != result.details["test_loss_around_x"]
    assert 0 <= result.details["test_loss_at_x"] < result.details["test_loss_around_x"] * 2 < 1


def test_batches_do_not_matter(result, trained, digits):
    other = Theorem41(batch_size=250).bound(trained, digits)  # 1437 and 360 are no multiples: the rests count too
    assert other.bound == pytest.approx(result.bound, rel=1e-9)
    assert other.details["test_loss_at_x"] == pytest.approx(result.details["test_loss_at_x"], rel=1e-9)
    zero = Theorem41(batch_size=10_000, prior="zero", max_products=3, random_directions=0).bound(trained)
    assert zero.details["squared_distance"] > result.details["squared_distance"]
    assert "centre: zero" in " ".join(zero.assumptions)


def test_fourth_derivative_of_a_quartic():
    """f(w) = (w . a)^4: d_v^4 f = 24 (v . a)^4."""
    model = torch.nn.Linear(3, 1, bias=False).double()
    a = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64)
    f = NetworkLandscape.from_tensors(model, lambda o, t: (o**4).mean(), a, torch.zeros(1))
    v = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64))
    truth = max(24 * (v @ a[0]) ** 4).item()
    assert estimate_fourth_derivative(f, f.point(), v) == pytest.approx(truth)


def test_refused_directions():
    f = NetworkLandscape.from_tensors(
        torch.nn.Linear(3, 1, bias=False).double(),
        lambda o, t: (o**4).mean(),
        torch.ones(1, 3).double(),
        torch.zeros(1),
    )
    for rows in (
        torch.empty(0, 3),
        2 * torch.eye(3),
        torch.zeros(1, 3),
        torch.eye(3)[0],
        torch.full((1, 3), torch.nan),
    ):
        with pytest.raises(InputError, match="need at least one row, each of length 1"):
            estimate_fourth_derivative(f, f.point(), rows.double())


def test_a_diverged_network_is_refused(trained, digits, monkeypatch):
    monkeypatch.setattr(BoundedCrossEntropy, "__call__", lambda self, outputs, targets: outputs.sum() * torch.nan)
    with pytest.raises(InputError, match=r"bounded loss is nan, not in \[0, 1\]; its training diverged"):
        Theorem41().bound(trained, digits)


def test_batch_norm_and_relu_are_confessed(digits):
    plain, resnet = (" ".join(_assumptions(build_model(n, (1, 8, 8), 10), digits, "zero")) for n in ("mlp", "resnet18"))
    assert "almost everywhere" in " ".join(_assumptions(WideResNet(1, 10, depth=10, width=1), digits, "zero"))
    for sentence in ("running statistics count as fixed", "almost everywhere"):
        assert sentence in resnet
        assert sentence not in plain


def test_refusals(trained, digits, tmp_path):
    with pytest.raises(InputError, match=r"delta = 2 does not lie in \(0, 1\)"):
        Theorem41(delta=2).bound(trained, digits)
    for changes, message in (
        ({"batch_size": 0}, "--batch-size 0 is out of range; give a number from 1"),
        ({"max_products": 0}, "--max-products 0 is out of range; give a number from 1"),
        ({"random_directions": -1}, "random directions -1 is out of range; give a number from 0"),
        ({"sigma": float("nan")}, "sigma = nan is not positive"),
        ({"p_min": 1e-320}, "too close to 0 or 1 for torch.float64"),
    ):
        with pytest.raises(InputError, match=message):
            Theorem41(**changes).bound(trained, digits)
    with pytest.raises(InputError, match="unknown prior centre 'mean'; choose one of: initial, zero"):
        Theorem41(prior="mean").bound(trained, digits)
    with pytest.raises(InputError, match="was trained on digits, not svhn"):
        Theorem41().bound(trained, dataclasses.replace(digits, name="svhn"))
    shutil.copytree(trained, tmp_path / "copy")
    (tmp_path / "copy" / "initial.safetensors").unlink()
    with pytest.raises(InputError, match=r"cannot read .*initial.safetensors"):
        Theorem41().bound(tmp_path / "copy", digits)


def test_after_label_noise_every_term_is_with_clean_labels(digits, tmp_path):
    """Noisy ones give another loss and curvature, and a risk to which no test loss can be compared."""
    settings = TrainSettings("sgd", epochs=20, subset=200, label_noise=0.3, label_smoothing=0.1)
    run = train(settings, digits, tmp_path / "a")
    found = Theorem41(batch_size=10_000, max_products=15, random_directions=0).bound(run, run.data())
    data, model, loss = run.data(), run.network().double(), BoundedCrossEntropy(1e-3)
    clean, noisy = (
        NetworkLandscape.from_tensors(model, loss, data.train_inputs.double(), targets)
        for targets in (digits.train_targets[run.examples.train], data.train_targets)
    )
    x = clean.point()
    assert found.terms[0].value == pytest.approx(clean.loss(x).item(), rel=1e-9)
    assert noisy.loss(x).item() > found.terms[0].value + 0.05
    tops = [top_eigenpairs(f, x, max_products=15).values.item() for f in (clean, noisy)]
    assert found.details["lambda_1"] == pytest.approx(tops[0], rel=1e-3)
    assert abs(tops[1] / tops[0] - 1) > 0.01
    assert found.details["examples"] == 200
    assert "60 of the 200 labels that the network was trained on are noise" in " ".join(found.assumptions)
    with pytest.raises(InputError, match="trained on other examples"):
        Theorem41().bound(run, run.clean(data))
