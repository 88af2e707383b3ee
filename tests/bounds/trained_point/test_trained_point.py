"""The bound of a run directory: ingredients against dense ones, and what is said about them."""

import copy
import dataclasses
import re
import shutil

import pytest
import torch

from eigensam.bounds import (
    BoundedCrossEntropy,
    Curvature,
    LossAround,
    Theorem41,
    eigenvalue_bound,
    estimate_fourth_derivative,
)
from eigensam.bounds.trained_point.explanation import explain_refuted
from eigensam.bounds.trained_point.point_assumptions import fixed_before_the_sample, point_assumptions
from eigensam.bounds.trained_point.trained_point import _refuted
from eigensam.ground import InputError
from eigensam.landscapes import Checkpoint, NetworkLandscape, Run, build_model, load_tensors, top_eigenpairs
from eigensam.landscapes.runs.wide_resnet import WideResNet
from eigensam.optim import TrainSettings, train

EFFORT = {"draws": 40, "gradients": 8, "random_directions": 2, "probes": 4}


@pytest.fixture(scope="module")
def result(trained, digits):
    seen = []
    return Theorem41(batch_size=10_000, **EFFORT).bound(trained, digits, progress=seen.append)


def test_ingredients(result, trained, digits):
    model = Checkpoint.read(trained).network(trained).double()
    loss = BoundedCrossEntropy(1e-3)
    f = NetworkLandscape.from_tensors(model, loss, digits.train_inputs.double(), digits.train_targets)
    outputs = model(digits.train_inputs.double()).detach()
    assert result.terms[0].value == pytest.approx(loss(outputs, digits.train_targets).item(), rel=1e-9)
    top = top_eigenpairs(f, f.point(), tolerance=1e-7)
    assert result.details["lambda_1_ritz"] == pytest.approx(top.values.item(), rel=1e-5)
    assert top.values.item() <= result.details["lambda_1"] < top.values.item() * 1.01  # its upper end
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
    for word in (
        "independent draws",
        "randomised predictor",
        "sampled at x",
        "initialisation",
        "f_D(x) <= E f_D(x + e)",
    ):
        assert word in text
    assert text.count("of differences (float64, 8 examples)") == 2  # products, and the fourth derivative
    assert result.details["test_loss_at_x"] == pytest.approx(whole_test_loss, rel=1e-9)
    assert result.details["test_loss_at_x"] != result.details["test_loss_around_x"]
    assert 0 <= result.details["test_loss_at_x"] < result.details["test_loss_around_x"] * 2 < 1


def test_batches_do_not_matter(result, trained, digits):
    """1437 and 360 are no multiples of 250: the rests count, too."""
    other = Theorem41(batch_size=250, **EFFORT | {"gradients": 2}).bound(trained, digits)
    assert other.bound == pytest.approx(result.bound, rel=1e-9)
    assert other.details["test_loss_at_x"] == pytest.approx(result.details["test_loss_at_x"], rel=1e-9)
    assert other.measured["f_S_of_Q"][0]["mean"] == pytest.approx(result.measured["f_S_of_Q"][0]["mean"], rel=1e-9)
    cheap = {"max_products": 6, "top": 1, "draws": 2, "random_directions": 0}
    zero = Theorem41(batch_size=10_000, prior="zero", **cheap).bound(trained)
    assert zero.details["squared_distance"] > result.details["squared_distance"]
    assert "centre: zero" in " ".join(zero.assumptions)


def test_monte_carlo_beside_taylor(result, trained, digits):
    """By a loop of one's own over draws of one's own: the same ``f_S(Q)`` and rise of the loss, within their spread."""
    model, loss, sigma = Run(trained).network().double(), BoundedCrossEntropy(1e-3), result.details["sigma"]
    inputs, generator = digits.train_inputs.double(), torch.Generator().manual_seed(99)
    with torch.no_grad():
        centre = [p.clone() for p in model.parameters()]
        values = []
        for _ in range(40):
            for p, c in zip(model.parameters(), centre, strict=True):
                p.copy_(c + sigma * torch.randn(c.shape, generator=generator, dtype=torch.float64))
            values.append(float(loss(model(inputs), digits.train_targets)))
    values = torch.tensor(values)
    spread = float(values.std()) * (2 / 40) ** 0.5
    (risk, zero_one), measured = result.measured["f_S_of_Q"], result.measured
    assert abs(risk["mean"] - float(values.mean())) < 5 * spread
    assert risk["mean"] < risk["upper"] < 1
    assert zero_one["loss"] == "zero-one"
    rise = float(values.mean()) - result.terms[0].value
    assert abs(measured["increase"] - rise) < 5 * (spread + measured["increase_error"])
    assert measured["increase"] > 0.2 * rise > 0
    taylor = sum(term.value for term in result.terms[:3])
    assert measured["taylor_sum"] == taylor > 100 * risk["mean"]
    assert measured["f_S_of_Q_estimate"] == pytest.approx(risk["mean"], rel=0.1)
    assert f"{taylor / measured['f_S_of_Q_estimate']:.3g} times as much" in " ".join(result.words)


def test_every_form_is_there(result):
    kinds = {each.form: each.kind for each in result.forms}
    assert len(kinds) == 12
    assert kinds.pop("Monte Carlo") == "certificate"
    assert set(kinds.values()) == {"estimate"}  # nothing that rests on derivatives at a point is more
    by_form = {each.form: each for each in result.forms}
    assert result.bound == min(by_form[f"eigenvalue, {name}"].bound for name in ("K_4", "K_3", "C"))
    for name in ("K_4", "K_3", "C"):
        assert by_form[f"effective dimension, {name}"].bound <= by_form[f"trace, {name}"].bound
        assert by_form[f"trace, {name}"].bound <= by_form[f"eigenvalue, {name}"].bound
    monte_carlo, risk = by_form["Monte Carlo"], result.measured["f_S_of_Q_certified"]
    assert monte_carlo.terms[0].value == risk["upper"]
    assert risk["delta"] == pytest.approx(0.005)


def test_the_lowest_curvature_numbers(result, trained, digits):
    """Estimates from below: each constant is at least what single directions give, and moments are of both signs."""
    measured = result.measured["curvature"]
    model = Run(trained).network().double()
    f = NetworkLandscape.from_tensors(
        model, BoundedCrossEntropy(1e-3), digits.train_inputs.double(), digits.train_targets
    )
    x = f.point()
    v = torch.randn(f.dim, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    v /= v.norm()
    step = 0.05
    values = [float(f.loss(x + k * step * v)) for k in (-2, -1, 0, 1, 2)]
    third = (values[4] - 2 * values[3] + 2 * values[1] - values[0]) / (2 * step**3)
    assert abs(third) < measured["K_3_estimate"]
    assert measured["C_estimate"] <= measured["K_3_estimate"] * (1 + 1e-12)
    assert measured["trace"]["lower"] < measured["trace"]["value"] < measured["trace"]["upper"]
    assert sum(measured["eigenpairs"]["eigenvalues"]) < measured["trace"]["upper"]


def test_every_number_in_words_is_in_the_json(result):
    """Integers and numbers of at least three digits, to the digits that are printed."""

    def numbers(value):
        if isinstance(value, dict):
            return [each for part in value.values() for each in numbers(part)]
        if isinstance(value, list):
            return [each for part in value for each in numbers(part)]
        return [float(value)] if isinstance(value, int | float) else []

    known = numbers(result.to_dict())
    known += [value**0.5 for value in known if value > 0]  # |x - x0|
    errors = result.measured["test_set"]["errors"]
    known += [100 * errors / result.measured["test_set"]["examples"], 0, 1, 2]  # percent, and numbers of formulas
    for sentence in result.words:
        for text in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]\d+)?(?![\w])", sentence):
            digits = len(re.sub(r"e.*|\.|^0+", "", text).lstrip("0")) or 1
            close = [each for each in known if float(f"{each:.{digits}g}") == float(text)]
            assert close, (text, sentence)


def test_words(result):
    text = " ".join(result.words)
    for word in (
        "It is vacuous",
        "has a loss of 0.332 without any data",
        "nats",
        "2n -",
        "d = 104842 parameters",
        "Each of these alone would make the sum 1",
        "Monte Carlo, at the same sigma",
        "Clopper-Pearson",
        "the only certificate here",
    ):
        assert word in text
    assert text.count("certificate") == 1  # of Monte Carlo; nothing that rests on Taylor's terms is called one
    assert repr(result).count("\n- ") == len(result.words)


def test_a_diverged_network_is_refused(trained, digits, monkeypatch):
    monkeypatch.setattr(BoundedCrossEntropy, "__call__", lambda self, outputs, targets: outputs.sum() * torch.nan)
    with pytest.raises(InputError, match=r"bounded loss is nan, not in \[0, 1\]; its training diverged"):
        Theorem41().bound(trained, digits)


def test_batch_norm_and_relu_are_confessed(digits, trained):
    run = Run(trained)

    def said(model, *, fixed=True):
        return " ".join(point_assumptions(run, model, digits, centre="zero", fixed=fixed, checked=""))

    plain, resnet = said(build_model("mlp", (1, 8, 8), 10)), said(build_model("resnet18", (1, 8, 8), 10), fixed=False)
    assert "almost everywhere" in said(WideResNet(1, 10, depth=10, width=1))
    for sentence in ("running statistics, counts as fixed", "almost everywhere"):
        assert sentence in resnet
        assert sentence not in plain


def test_what_was_fixed_before_the_sample():
    """Any buffer or frozen parameter that passes or anything else have changed, not batch norm's alone."""
    before = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    trained = copy.deepcopy(before)
    torch.nn.init.ones_(trained[0].weight)
    assert fixed_before_the_sample(trained, before)
    trained(torch.randn(5, 2))
    assert not fixed_before_the_sample(trained, before)
    frozen = copy.deepcopy(before)
    frozen[0].bias.requires_grad_(False)
    torch.nn.init.ones_(frozen[0].bias)
    assert not fixed_before_the_sample(frozen, before)
    tied = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    later = copy.deepcopy(tied)
    torch.nn.init.ones_(later[0].weight)
    assert fixed_before_the_sample(later, tied)
    own = torch.nn.Linear(2, 3)
    own.register_buffer("memory", torch.zeros(2))
    other = copy.deepcopy(own)
    other.memory += 1
    assert fixed_before_the_sample(own, own)
    assert not fixed_before_the_sample(other, own)


def test_refusals(trained, digits, tmp_path):
    with pytest.raises(InputError, match=r"delta = 2 does not lie in \(0, 1\)"):
        Theorem41(delta=2).bound(trained, digits)
    for changes, message in (
        ({"batch_size": -1}, "--batch-size -1 is out of range; give a number from 0"),
        ({"max_products": 0}, "--max-products 0 is out of range; give a number from 1"),
        ({"random_directions": -1}, "--random-directions -1 is out of range; give a number from 0"),
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
    found = Theorem41(batch_size=10_000, max_products=15, top=1, draws=2, random_directions=0).bound(run, run.data())
    data, model, loss = run.data(), run.network().double(), BoundedCrossEntropy(1e-3)
    clean, noisy = (
        NetworkLandscape.from_tensors(model, loss, data.train_inputs.double(), targets)
        for targets in (digits.train_targets[run.examples.train], data.train_targets)
    )
    x = clean.point()
    assert found.terms[0].value == pytest.approx(clean.loss(x).item(), rel=1e-9)
    assert noisy.loss(x).item() > found.terms[0].value + 0.05
    tops = [top_eigenpairs(f, x, max_products=15).values.item() for f in (clean, noisy)]
    assert found.details["lambda_1_ritz"] == pytest.approx(tops[0], rel=1e-3)
    assert abs(tops[1] / tops[0] - 1) > 0.01
    assert found.details["examples"] == 200
    assert "60 of the 200 labels that the network was trained on are noise" in " ".join(found.assumptions)
    with pytest.raises(InputError, match="trained on other examples"):
        Theorem41().bound(run, run.clean(data))


def test_worst_cases_and_other_papers(result):
    small, large = result.measured["worst_cases"]
    assert small["radius"] == 0.05
    assert large["radius"] == pytest.approx(result.details["sigma"] * result.details["dim"] ** 0.5)
    for case in (small, large):
        assert case["gaussian_mean"] < case["value"]  # the objection of a reviewer
        assert case["loss"] == pytest.approx(result.terms[0].value)
    assert large["value"] > 0.5 > 100 * large["gaussian_mean"]
    assert [each.form for each in result.others] == [
        "Foret et al. 2021, Thm 2",
        "largest loss in a ball",
        "GSAM's terms, ours",
    ]
    assert {each.kind for each in result.others} == {"estimate"}
    assert result.for_the_point == []
    assert "Nothing proves f_D(x) <= f_D(Q)" in result.words[-1]


def test_float32_is_near_and_no_certified_eigenvalue(result, trained, digits):
    found = Theorem41(batch_size=10_000, single=True, **EFFORT | {"draws": 2, "gradients": 2}).bound(trained, digits)
    assert found.bound == pytest.approx(result.bound, rel=1e-2)
    assert found.measured["curvature"]["eigenpairs"]["bound"]["kind"] == "estimate"


def test_a_form_that_what_is_measured_refutes_is_called_so(result):
    """M_4 is taken from one point: where the loss rises faster than it allows, nobody may take the sum for a bound."""
    around = LossAround((0.01, 0.1, 1.0), torch.tensor([[1e-4, 0.2, 0.9], [1e-4, 0.3, 0.9]]), 1e-12)
    honest = eigenvalue_bound(0.1, Curvature(2.0, 0.1), dim=50, squared_distance=1.0, examples=1000, sigma=0.1)
    small = eigenvalue_bound(0.1, Curvature(0.1, 0.1), dim=50, squared_distance=1.0, examples=1000, sigma=0.1)
    rows = _refuted([honest, small], around)
    assert [row["allowed"] for row in rows] == [pytest.approx(small.terms[1].value + small.terms[2].value)]
    assert rows[0]["measured"] == pytest.approx(0.25)
    (sentence,) = explain_refuted(rows)
    assert sentence.endswith("is refuted.")
    assert all(row["measured"] > row["allowed"] for row in result.measured["refuted"])
