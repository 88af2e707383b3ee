"""The price of speaking of the point: closed forms where it is exact, 300 cases, digits, what is refused."""

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from eigensam.bounds import (
    BoundedCrossEntropy,
    Curvature,
    Form,
    Smoothness,
    ball_bound,
    derandomised_bound,
    eigenvalue_bound,
    foret_bound,
    smoothness_of_linear,
)
from eigensam.ground import InputError

from .cases import COMMON, cases

FLAT = Curvature(0.2, fourth_derivative=0.3, kind="certificate")
THEOREM = {"dim": 30, "squared_distance": 1.0, "examples": 10_000}


def test_price_against_closed_forms():
    """f = e^{-|x|^2/2} at its maximum: -tr H = d, |H| = 1, E f(e) = (1 + s^2)^{-d/2}. Half the price is too little."""
    for d in (1, 3, 20):
        for sigma in (1e-3, 0.1, 0.7):
            given = eigenvalue_bound(0.0, FLAT, **{**THEOREM, "dim": d}, sigma=sigma)
            needed = 1 - (1 + sigma**2) ** (-d / 2)
            by_trace = derandomised_bound(given, Smoothness(negative_trace=float(d))).terms[-1].value
            by_norm = derandomised_bound(given, Smoothness(gradient_lipschitz=1.0)).terms[-1].value
            assert by_trace == pytest.approx(by_norm, rel=1e-14)
            assert needed <= by_trace
            if sigma < 0.01:
                assert by_trace / 2 < needed  # wrong on purpose
                assert needed == pytest.approx(by_trace, rel=1e-4)


def test_against_sixty_digits():
    """Sum, inverted form and price, for a posterior of each of three bounds."""
    for i, case in enumerate(cases(300, 5)):
        rng = np.random.default_rng(i)
        if i % 3:
            given = (foret_bound if i % 3 == 1 else ball_bound)(**case, kind="certificate")
        else:
            scale = case["loss_bound"]
            given = eigenvalue_bound(
                case["perturbed_loss"],
                FLAT,
                dim=case["dim"],
                squared_distance=case["squared_norm"],
                examples=case["examples"],
                delta=max(case["delta"], 1e-3),
                loss_bound=scale,
            )
        constant, trace = 10.0 ** rng.uniform(-4, 2), 10.0 ** rng.uniform(-4, 3)
        choice = [(constant, None), (None, trace), (constant, trace)][i % 3 if i % 2 else (i // 3) % 3]
        found = derandomised_bound(given, Smoothness(*choice, kind="certificate"))
        with mpmath.workdps(60):
            slopes = [] if choice[0] is None else [mpmath.mpf(choice[0]) * case["dim"]]
            slope = min([*slopes, *([] if choice[1] is None else [mpmath.mpf(choice[1])])])
            price = slope * mpmath.mpf(given.details["sigma"]) ** 2 / 2
            assert price <= found.terms[-1].value <= price * (1 + mpmath.mpf(2) ** -51)
            assert given.bound + price <= found.bound <= (given.bound + price) * (1 + mpmath.mpf(2) ** -51)
            own = given.bound_kl + slope * mpmath.mpf(given.details["sigma_of_bound_kl"]) ** 2 / 2
            truth = min(own, mpmath.mpf(found.bound), mpmath.mpf(case["loss_bound"]))
            assert truth <= found.bound_kl <= truth * (1 + mpmath.mpf(2) ** -51)
        assert found.vacuous == (found.bound >= case["loss_bound"])
        assert found.kind == "certificate"


def test_words_and_kinds():
    smooth = Smoothness(negative_trace=1.0, kind="certificate", reason="It is smooth.")
    for given in (
        eigenvalue_bound(0.1, FLAT, **THEOREM, assumptions=["Needs f_D(x) <= E f_D(x + e), as assumed.", "Other."]),
        ball_bound(0.1, **COMMON, kind="certificate"),
    ):
        found = derandomised_bound(given, smooth, assumptions=["More."])
        assert not any("f_D(x) <= E f_D(x + e)" in sentence for sentence in found.assumptions)
        assert found.assumptions[-2:] == ["It is smooth.", "More."]
        assert len(found.assumptions) == len(given.assumptions) + 1
        assert found.kind == "certificate"
        assert found.details["randomised_bound"] == given.bound
        assert derandomised_bound(given, Smoothness(negative_trace=1.0)).kind == "estimate"
    assert derandomised_bound(ball_bound(0.1, **COMMON), smooth).kind == "estimate"


def test_a_linear_classifier_on_digits():
    """The price covers f(x) - E f(x + e), by Monte Carlo, at good and bad parameters, and is small."""
    inputs, targets = load_digits(return_X_y=True)
    inputs, targets = torch.tensor(inputs / 8 - 1), torch.tensor(targets)
    torch.manual_seed(0)
    model, loss = nn.Linear(64, 10).double(), BoundedCrossEntropy(1e-3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[:1000]), targets[:1000]).backward()
        optimizer.step()
    smooth = smoothness_of_linear(model, loss, squared_input_norm=64)
    assert float(inputs.square().sum(1).max()) <= 64
    held_out = inputs[1000:], targets[1000:]
    with torch.no_grad():
        for size in (1.0, 0.0, -1.0):  # at -1 the loss is near its largest value, where its trace is negative
            w, b = size * model.weight, size * model.bias
            at = loss(held_out[0] @ w.T + b, held_out[1])
            for sigma in (0.02, 0.3):
                noise = [(sigma * torch.randn_like(w), sigma * torch.randn_like(b)) for _ in range(20)]
                around = [
                    (loss(held_out[0] @ (w + s * v).T + b + s * c, held_out[1])) for v, c in noise for s in (1, -1)
                ]
                assert at - sum(around) / len(around) <= smooth.negative_trace * sigma**2 / 2 + 1e-3
        value = float(loss(model(inputs), targets))
    given = ball_bound(value, rho=0.5, squared_norm=1.0, dim=650, examples=1000)
    assert derandomised_bound(given, smooth).terms[-1].value < 0.01


def test_refusals():
    given = ball_bound(0.1, **COMMON)
    smooth = Smoothness(negative_trace=1.0)
    narrow = Curvature(0.1, 0.1, trace=0.5, eigenvalues=(0.1,))
    spectral = eigenvalue_bound(
        0.1, narrow, dim=20, squared_distance=1.0, examples=1000, form=Form("effective dimension", "K_4")
    )
    with pytest.raises(InputError, match="another sigma along eigenvectors"):
        derandomised_bound(spectral, smooth)
    with pytest.raises(InputError, match="derandomised already"):
        derandomised_bound(derandomised_bound(given, smooth), smooth)
    with pytest.raises(InputError, match="no sigma"):
        derandomised_bound(replace(given, details={"dim": 3.0}), smooth)
    with pytest.raises(InputError, match="without a number"):
        Smoothness()
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="need finite constants"):
            Smoothness(gradient_lipschitz=value)
    with pytest.raises(InputError, match="unknown kind"):
        Smoothness(negative_trace=1.0, kind="measured")
