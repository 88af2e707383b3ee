"""Generated coefficients against the exact rule, against sympy, against finite differences, and on a network."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, NetworkLandscape, Quadratic, TiltedTorus, Valley
from eigensam.sde import (
    RULES,
    Rule,
    coefficients,
    derive,
    drift_and_covariance,
    exact_increments,
    find_rule,
    in_coordinates,
    mean_and_covariance,
    truncate,
)
from eigensam.sde.rules import alpha, direction, grad, hvp, inner, loss, mean, rho, sign, unit

F = TiltedTorus.default(2)
X = torch.tensor([0.7, 2.1], dtype=torch.float64)
A, B, C = sympy.symbols("a b c")
LANDSCAPES = {
    "quadratic": Quadratic([[3.0, 1.0], [1.0, 2.0]], centres=[[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]),
    "valley": Valley(),
    "torus 1": TiltedTorus.default(1),
    "torus 2": F,
    "formula": FormulaLandscape(
        [A, B, C],
        [sympy.exp(A / 3) + A * B * C + B**4 / 5 + 2 * A, sympy.tanh(A + B) + C**2 * A + 3 * B],
    ),
}
G = grad()
ODD = [
    Rule("mean hessian", grad(rho * mean(hvp(unit(G))))),
    Rule("moving mean", mean(G) + rho * mean(hvp(G)) * sign(inner(G, mean(G)) + 3)),
    Rule("sum", grad(rho * unit(G + alpha * mean(G)))),
    Rule("losses", grad(rho * G / (3 + loss(rho * G) ** 2))),
    Rule("mean of scalars", grad(rho * G / (1 + mean(inner(G, G))))),
    Rule("constant", grad(rho * direction("v"))),
    Rule("mean sign", grad(rho * G) + rho * mean(sign(inner(G, direction("v"))) * direction("v"))),
]


def values_of(rule, dim):
    v = torch.full((dim,), dim**-0.5, dtype=torch.float64)
    return {name: value for name, value in (("alpha", 0.3), ("v", v)) if name in (*rule.parameters, *rule.directions)}


@pytest.mark.parametrize("rule", [*RULES.values(), *ODD], ids=lambda rule: rule.name)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_remainder_has_the_next_power_of_rho(rule, order):
    values = values_of(rule, 2)
    sde = truncate(rule, 1, order)

    def gap(radius, sde):
        exact = exact_increments(F, rule, X, radius, values)
        return float((exact - coefficients(F, sde, X, radius, values).increments).norm())

    if max(sde.increments) < order - 1 or not any(d.part == "drift" for d in sde.dropped):
        assert gap(1e-2, sde) < 1e-4  # nothing is left out at this power
        return
    step = 1e-3 if order < 4 else 1e-2  # above rounding
    slope = math.log2(gap(2 * step, sde) / gap(step, sde))
    assert slope == pytest.approx(order, abs=0.05)
    if order == 3 and rule.name == "sam":  # wrong on purpose: half the third-order coefficient
        wrong = replace(sde, increments=dict(sde.increments) | {2: sde.increments[2] * Fraction(1, 2)})
        assert math.log2(gap(2e-3, wrong) / gap(1e-3, wrong)) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("name", LANDSCAPES)
@pytest.mark.parametrize("rule", [*RULES.values(), *ODD], ids=lambda rule: rule.name)
@pytest.mark.parametrize(("p", "beta"), [(1, "1/3"), (2, "2/3")])
def test_generated_code_agrees_with_sympy(rule, name, p, beta):
    """To 1e-12 at 100 random points, drift and covariance, torch's passes against sympy in torch and in numpy."""
    landscape = LANDSCAPES[name]
    sde = derive(rule, p, beta)
    coordinates = in_coordinates(sde, landscape)
    x = torch.randn(100, landscape.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = values_of(rule, landscape.dim)
    ours = drift_and_covariance(landscape, sde, x[:, None], 0.3, 0.1, values)
    by_torch = coordinates.compile("torch")(x, 0.3, 0.1, values)
    numbers = {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in values.items()}
    by_numpy = coordinates.compile("numpy")(x.numpy(), 0.3, 0.1, numbers)
    for found, truth, other in zip(ours, by_torch, by_numpy, strict=True):
        torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(truth.numpy(), other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", [*RULES.values(), *ODD], ids=lambda rule: rule.name)
def test_correction_against_the_jacobian(rule):
    """b_1 = -1/2 (Db) b, with Db by automatic differentiation of the uncorrected drift, in the limit rho -> 0 and at
    first order in rho."""
    values = values_of(rule, 2)
    order_2 = derive(rule, 2, "2/3")
    plain = truncate(rule, 1, 2)

    def truth(radius):
        b = lambda x: drift_and_covariance(F, plain, x, radius, 0.0, values)[0]  # noqa: E731
        step = 1e-5
        here = b(X)
        return -0.5 * (b(X + step * here) - b(X - step * here)) / (2 * step)

    def ours(radius):
        corrected, bare = (drift_and_covariance(F, order_2, X, radius, eta, values)[0] for eta in (1.0, 0.0))
        return corrected - bare

    torch.testing.assert_close(ours(0.0), truth(0.0), rtol=1e-8, atol=1e-8)
    slope = (truth(1e-3) - truth(-1e-3)) / 2e-3
    torch.testing.assert_close(ours(1.0) - ours(0.0), slope, rtol=1e-5, atol=1e-6)


def test_second_order_drifts_are_gradients_of_norms():
    """E[H g/|g|] = grad E|g| (SAM) and E[H g] = 1/2 grad E|g|^2 (USAM), by automatic differentiation."""
    x = X.clone().requires_grad_(True)
    losses = F.losses(x)
    g = torch.stack([torch.autograd.grad(loss, x, create_graph=True)[0] for loss in losses])
    norms = g.norm(dim=1)
    for name, value in (("sam", norms.mean()), ("usam", 0.5 * norms.square().mean())):
        (truth,) = torch.autograd.grad(value, x, retain_graph=True)
        first, both = truncate(find_rule(name), 1, 1), truncate(find_rule(name), 1, 2)
        drift = [mean_and_covariance(coefficients(F, sde, X, 1.0).increments)[0] for sde in (first, both)]
        torch.testing.assert_close(drift[0] - drift[1], truth, rtol=1e-10, atol=1e-12)


def test_exact_rules_by_hand():
    f = Quadratic([[2.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0], [2.0, 0.0]])
    x = torch.tensor([1.0, 4.0], dtype=torch.float64)  # gradients (2, 4) and (-2, 4), mean (0, 4)
    h = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    g = torch.tensor([[2.0, 4.0], [-2.0, 4.0]], dtype=torch.float64)
    v = torch.tensor([0.0, 1.0], dtype=torch.float64)
    length = 20**0.5
    u = {
        "sgd": 0 * g,
        "usam": g,
        "sam": g / length,
        "dnsam": g / 4,
        "reverse-sam": -g / length,
        "eigen-sam": g / length + 0.5 * (v - (4 / 20) * g),
        "egr": g / length,
    }
    for name, perturbation in u.items():
        values = {"alpha": 0.5, "v": v} if name == "eigen-sam" else None
        found = exact_increments(f, RULES[name], x, 0.1, values)
        torch.testing.assert_close(found, -(g + 0.1 * perturbation @ h))
    ascent = 0.05 * g / length
    again = g + ascent @ h
    two = ascent + 0.05 * again / again.norm(dim=1, keepdim=True)
    torch.testing.assert_close(exact_increments(f, RULES["sam-2-step"], x, 0.1), -(g + two @ h))


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_contract(rule):
    """Shapes, dtype, batches, and one point like many."""
    values = values_of(rule, 2)
    batch = torch.randn(4, 5, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sde = derive(rule, 2, "2/3")
    h = exact_increments(F, rule, batch, 0.1, values)
    b, sigma = drift_and_covariance(F, sde, batch, 0.1, 0.1, values)
    assert h.shape == coefficients(F, sde, batch, 0.1, values).increments.shape == (4, 5, 3, 2)
    assert b.shape == (4, 5, 2)
    assert sigma.shape == (4, 5, 2, 2)
    assert b.dtype == sigma.dtype == h.dtype == torch.float64
    torch.testing.assert_close(sigma, sigma.mT)
    assert torch.linalg.eigvalsh(sigma).min() > -1e-12
    one_b, one_sigma = drift_and_covariance(F, sde, batch[1, 2, 0], 0.1, 0.1, values)
    torch.testing.assert_close(b[1, 2], one_b)
    torch.testing.assert_close(sigma[1, 2], one_sigma)
    torch.testing.assert_close(h[1, 2], exact_increments(F, rule, batch[1, 2, 0], 0.1, values))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["sam", "dnsam", "eigen-sam", "sam-2-step"])
def test_on_a_network(name, dtype):
    """The same code on a network: the remainder of the exact rule, and b_1 against a finite difference along b."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).to(dtype)
    data = torch.randn(12, 3, dtype=dtype), torch.arange(12) % 2
    f = NetworkLandscape.from_tensors(model, torch.nn.functional.cross_entropy, *data, batch_size=4)
    rule, x = RULES[name], f.point()
    v = torch.nn.functional.normalize(torch.ones(f.dim, dtype=dtype), dim=0)
    values = {"alpha": 0.2, "v": v} if name == "eigen-sam" else None
    sde = derive(rule, 2, "2/3")
    radius = 0.05
    exact, third = exact_increments(f, rule, x, radius, values), coefficients(f, sde, x, radius, values).increments
    second = coefficients(f, truncate(rule, 1, 2), x, radius, values).increments
    assert exact.dtype == third.dtype == dtype
    assert (exact - third).norm() < 0.2 * (exact - second).norm()
    if dtype == torch.float64:
        b = lambda y: drift_and_covariance(f, sde, y, 0.0, 0.0, values)[0]  # noqa: E731
        here = b(x)
        truth = -0.5 * (b(x + 1e-5 * here) - b(x - 1e-5 * here)) / 2e-5
        correction = drift_and_covariance(f, sde, x, 0.0, 1.0, values)[0] - here
        torch.testing.assert_close(correction, truth, rtol=1e-6, atol=1e-9)


def test_mean_and_covariance_against_torch():
    h = torch.randn(7, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, covariance = mean_and_covariance(h)
    torch.testing.assert_close(found, h.mean(1))
    torch.testing.assert_close(covariance[5], torch.cov(h[5].T, correction=0))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("cr-sam", None, "the symbol alpha is unbound; give values={'alpha': a number}"),
        ("cr-sam", {"alpha": -0.1}, "alpha = -0.1 is not a positive number"),
        ("cr-sam", {"alpha": float("nan")}, "alpha = nan is not a positive number"),
        ("sam", {"alpha": 0.1}, "has no symbol alpha; it has none but rho"),
        ("eigen-sam", {"alpha": 0.1}, r"the direction v is unbound; .*unit vector of shape \(2,\)"),
        (
            "eigen-sam",
            {"alpha": 0.1, "v": torch.ones(2)},
            r"has shape \(2,\), torch.float32, and length 1.41421; expected",
        ),
        ("eigen-sam", {"alpha": 0.1, "v": [1, 0]}, "torch.int64, and length nan"),
        ("cr-sam", {"alpha": "a"}, "alpha = a is not a positive number"),
        ("eigen-sam", {"alpha": 0.1, "v": torch.ones(1)}, r"has shape \(1,\)"),
        ("eigen-sam", {"alpha": torch.ones(2), "v": torch.ones(1)}, "is not a positive number"),
    ],
)
def test_symbols_need_values(name, values, message):
    with pytest.raises(InputError, match=f"rule '{name}'.*{message}"):
        exact_increments(F, RULES[name], X, 0.1, values)


def test_points_need_a_minibatch_axis():
    for call in (
        lambda x: exact_increments(F, RULES["sam"], x, 0.1),
        lambda x: coefficients(F, derive(RULES["sam"], 1, 1), x, 0.1).increments,
        lambda x: drift_and_covariance(F, derive(RULES["sam"], 1, 1), x, 0.1, 0.1),
    ):
        with pytest.raises(InputError, match=r"points have shape \(5, 2\); .* x\[:, None\]"):
            call(torch.zeros(5, 2, dtype=torch.float64))


def test_gaps_between_nested_expectations():
    """Opening nested powers leaves gaps in the numbers of expectations; the code must not average over nothing."""
    rule = find_rule("v*(norm(g)+E[(norm(g)+E[(1+norm(g))**(1/2)])**(1/2)])**(1/2)")
    values = values_of(rule, 2)
    found = coefficients(F, truncate(rule, 1, 1, correction_order=1), X, 0.1, values).correction

    def drift(x):
        return exact_increments(F, rule, x, 0.1, values).mean(-2)

    here, step = drift(X), 1e-5
    truth = -0.5 * (drift(X + step * here) - drift(X - step * here)) / (2 * step)
    torch.testing.assert_close(found, truth, rtol=1e-8, atol=1e-8)
