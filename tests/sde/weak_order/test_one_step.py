"""Truths: the series of ``e^{eta L}``, with L acting on polynomials; SAM's step by hand; orders to two digits."""

import json
import math
import re
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch
from torch import nn

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, NetworkLandscape, Quadratic, TiltedTorus
from eigensam.sde import RULES, Rule, derive, find_rule, truncate, verify_one_step
from eigensam.sde.rules import direction, grad, inner, rho, unit
from eigensam.sde.weak_order.one_step import FLOAT64_ETAS, MULTI_ETAS, default_points, polynomial_test_functions
from eigensam.sde.weak_order.plans import OneStepPlan

from .changed import changed
from .planned import planned

F64 = torch.float64
SAM, USAM = RULES["sam"], RULES["usam"]
TORUS = TiltedTorus.default(2)
SMALL = [2.0**-40, 2.0**-44, 2.0**-48]
POINT = torch.tensor([[1.4, -0.8]], dtype=F64)
X = sympy.symbols("x_1 x_2", real=True)


def values_of(rule, dim=2):
    v = torch.tensor([0.6, 0.8, 0.0, 0.0][:dim] if dim > 1 else [1.0], dtype=F64)
    given = {"alpha": 0.2, "v": v}
    return {name: given[name] for name in (*rule.parameters, *rule.directions)}


@pytest.mark.parametrize(
    ("name", "order", "beta"),
    [
        ("sgd", 1, "1/2"),
        ("sgd", 2, "1/3"),
        ("sgd", 2, 1),
        ("usam", 1, "1/3"),
        ("usam", 2, "1/3"),
        ("usam", 2, "2/3"),
        ("sam", 1, "1/3"),
        ("sam", 1, "1/2"),
        ("sam", 1, 1),
        ("sam", 2, "1/2"),
        ("sam", 2, "2/3"),
        ("dnsam", 1, "1/3"),
        ("dnsam", 2, "2/3"),
        ("dnsam", 2, 1),
        ("sam-2-step", 1, "1/3"),
        ("sam-2-step", 2, "2/3"),
        ("eigen-sam", 1, "1/3"),
        ("eigen-sam", 1, "2/3"),
        ("eigen-sam", 2, "2/3"),
        ("eigen-sam", 2, 1),
        ("cr-sam", 1, "1/3"),
        ("egr", 2, "1/2"),
    ],
)
def test_orders_to_two_digits(name, order, beta):
    rule = RULES[name]
    result = verify_one_step(
        derive(rule, order, beta), landscape=TORUS, points=POINT, values=values_of(rule), etas=SMALL
    )
    assert result.slope == pytest.approx(order + 1, abs=0.01)
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("rule", "powers", "slope"), [(SAM, 1, 4 / 3), (SAM, 2, 5 / 3), (USAM, 1, 4 / 3), (RULES["eigen-sam"], 2, 5 / 3)]
)
def test_orders_of_truncations(rule, powers, slope):
    """A hundredth is far below the third between one power and the next."""
    result = verify_one_step(
        truncate(rule, "1/3", powers), landscape=TORUS, points=POINT, values=values_of(rule), etas=SMALL
    )
    assert result.slope == pytest.approx(slope, abs=0.005)
    assert result.verdict == "pass"


def test_what_a_result_says():
    seen = []
    result = verify_one_step(
        derive(SAM, 2, "2/3"),
        landscape=TiltedTorus.default(1),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.etas == list(MULTI_ETAS)
    assert (result.slope, result.expected, result.tolerance) == (pytest.approx(3, abs=1e-3), 3.0, pytest.approx(0.015))
    assert seen == [(k, 10) for k in range(11)]
    written = json.loads(json.dumps(result.to_dict()))
    assert (written["method"], written["precision"], written["points"]) == ("one-step", "multi", 3)
    assert written["rounding"] < 1e-60
    assert written["divisors"][0]["name"] == "norm(g)"


@pytest.mark.parametrize("dim", [1, 3])
def test_other_dimensions(dim):
    f = TiltedTorus.default(dim)
    result = verify_one_step(derive(SAM, 1, "1/2"), landscape=f, etas=SMALL)
    assert result.details["precision"] == "multi"
    assert result.slope == pytest.approx(2, abs=0.01)


def test_four_dimensions_are_verified_in_double_precision():
    f = TiltedTorus.random(4, seed=2)
    result = verify_one_step(derive(SAM, 2, "2/3"), landscape=f, rho_scale=0.3)
    assert result.details["precision"] == "float64"
    assert result.etas == list(FLOAT64_ETAS)
    assert result.slope == pytest.approx(3, abs=0.15)
    assert result.verdict == "pass", result.reason


@pytest.mark.parametrize("rule", [USAM, RULES["eigen-sam"]], ids=lambda rule: rule.name)
@pytest.mark.parametrize(("order", "beta"), [(1, "1/3"), (2, "2/3")])
def test_both_precisions_measure_the_same(rule, order, beta):
    """Down to where doubles end, about ``2e-16`` in an error."""
    kwargs = {"landscape": TORUS, "points": POINT, "etas": [2.0**-k for k in range(3, 8, 2)], "values": values_of(rule)}
    multi, double = (
        verify_one_step(derive(rule, order, beta), **planned(OneStepPlan, precision=precision, **kwargs))
        for precision in ("multi", "float64")
    )
    assert double.errors == pytest.approx(multi.errors, rel=1e-10, abs=1e-14)
    assert [multi.details[k] for k in ("precision", "digits")] == ["multi", 29]
    assert [double.details[k] for k in ("precision", "digits")] == ["float64", 15]


def test_directions_are_unit_vectors_in_every_precision():
    """(0.6, 0.8) is one only up to 1e-17, which is more than an error of order 3 at eta = 2^-48."""
    v = direction("v")
    for rule in (Rule("push", grad(rho * unit(v))), Rule("length", grad(rho * inner(v, v) * grad()))):
        result = verify_one_step(
            derive(rule, 2, "2/3"), landscape=TORUS, points=POINT, etas=SMALL, values=values_of(rule) or None
        )
        assert result.slope == pytest.approx(3, abs=0.01)


# -- networks


def network(dtype=F64):
    generator = torch.Generator().manual_seed(5)
    model = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=F64) * 0.7)
    inputs = torch.randn(24, 2, generator=generator, dtype=F64).to(dtype)
    return NetworkLandscape.from_tensors(
        model, nn.functional.cross_entropy, inputs, torch.arange(24) % 3, batch_size=8, points_per_pass=8
    )


@pytest.mark.parametrize(("order", "beta"), [(1, "1/3"), (2, "2/3")])
def test_a_network_of_39_parameters(order, beta):
    f = network()
    assert f.dim == 39
    etas = [2.0**-k for k in (7, 10, 13)]
    result = verify_one_step(derive(SAM, order, beta), landscape=f, rho_scale=0.3, etas=etas)
    assert result.details["points"] == 1  # its own parameters
    assert result.slope == pytest.approx(order + 1, abs=0.05)
    assert result.verdict == "pass"


def test_a_networks_wrong_sde_fails():
    wrong = changed(derive(SAM, 1, "1/2"), "increments", {1: -1})
    etas = [2.0**-k for k in (6, 8, 10)]
    result = verify_one_step(wrong, landscape=network(), rho_scale=0.3, etas=etas, plan=OneStepPlan(expected=1))
    assert result.verdict == "fail"
    assert result.slope == pytest.approx(1.5, abs=0.1)


def test_a_network_in_single_precision_is_refused():
    with pytest.raises(InputError, match=r"the landscape is in torch.float32; one step's error needs torch.float64"):
        verify_one_step(derive(SAM, 1, "1/2"), landscape=network(torch.float32))


# -- wrong on purpose


@pytest.mark.parametrize(
    ("wrong", "claimed", "order"),
    [
        (changed(derive(SAM, 1, "1/3"), "increments", {2: Fraction(1, 2)}), 1, 2 / 3),
        (changed(derive(SAM, 1, "1/3"), "increments", {1: Fraction(999, 1000)}), 1, 1 / 3),
        (changed(derive(SAM, 2, "2/3"), "correction", {0: -1, 1: -1}), 2, 1),
        (changed(derive(SAM, 2, "2/3"), "correction", {1: 0}), 2, 5 / 3),
        (changed(derive(SAM, 2, "2/3"), "covariance", {0: 0, 1: 0}), 2, 1),
        (truncate(SAM, "2/3", 3, correction_order=2, covariance_order=0), 2, 1),
        (changed(derive(SAM, 2, "2/3"), "covariance", {0: 2, 1: 2}), 2, 1),
        (replace(derive(SAM, 1, "1/3"), rule=USAM), 1, 1 / 3),
        (replace(derive(SAM, 1, "1/3"), rule=RULES["dnsam"]), 1, 1 / 3),
    ],
    ids=["third", "second", "correction", "rho-correction", "noise", "no-noise", "double-noise", "usam", "dnsam"],
)
def test_wrong_sdes_fail(wrong, claimed, order):
    """Each with the slope that the proof finds; an error of 0.1 % too, which coarse step sizes would not see."""
    result = verify_one_step(wrong, landscape=TORUS, points=POINT, etas=SMALL, plan=OneStepPlan(expected=claimed))
    assert float(wrong.weak_order) == pytest.approx(order)
    assert result.verdict == "fail"
    assert result.expected == claimed + 1
    assert result.slope == pytest.approx(order + 1, abs=0.01)


def test_diffusion_does_not_matter_at_order_1():
    wrong = changed(derive(SAM, 1, "1/2"), "covariance", {0: 2, 1: 2})
    assert verify_one_step(wrong, landscape=TORUS, points=POINT, etas=SMALL).verdict == "pass"


def test_a_better_sde_than_claimed_does_not_pass():
    result = verify_one_step(
        derive(SAM, 2, "2/3"), landscape=TORUS, points=POINT, etas=SMALL, plan=OneStepPlan(expected=1)
    )
    assert (result.verdict, result.slope) == ("inconclusive", pytest.approx(3, abs=0.01))


# -- points and test functions


def test_test_functions_are_the_same_on_tensors_and_on_many_digits():
    for d in (1, 2, 5):
        x = torch.from_numpy(np.random.default_rng(d).standard_normal((4, d)))
        found = polynomial_test_functions(x)
        many = polynomial_test_functions(np.array([[mpmath.mpf(e) for e in row] for row in x.tolist()], dtype=object))
        assert found.shape == many.shape == (4, 3)
        np.testing.assert_allclose(many.astype(float), found, rtol=0, atol=1e-14)
        a, b = (w / np.linalg.norm(w) for w in (np.cos(np.arange(1, d + 1)), np.sin(2 * np.arange(1, d + 1))))
        first, second = x.numpy() @ a, x.numpy() @ b
        np.testing.assert_allclose(found, np.stack([first, second**2, first * second**2], 1), rtol=0, atol=1e-14)


def test_default_points():
    assert default_points(TORUS).shape == (3, 2)
    f = network()
    assert torch.equal(default_points(f), f.point()[None])


def test_the_error_is_the_largest_over_points_and_functions():
    sde, x = derive(SAM, 1, "1/2"), default_points(TORUS)
    kwargs = {"landscape": TORUS, "etas": [2.0**-20, 2.0**-21]}
    whole = verify_one_step(sde, **planned(OneStepPlan, points=x, **kwargs)).errors
    single = [verify_one_step(sde, **planned(OneStepPlan, points=p[None], **kwargs)).errors for p in x]
    assert whole == [max(e) for e in zip(*single, strict=True)]
    each = [
        verify_one_step(
            sde,
            **planned(OneStepPlan, test_functions=lambda y, k=k: polynomial_test_functions(y)[:, k : k + 1], **kwargs),
        ).errors
        for k in range(3)
    ]
    assert whole == [max(e) for e in zip(*each, strict=True)]
    assert len({e[0] for e in each}) == len({e[0] for e in single}) == 3


def test_points_in_any_type():
    sde = derive(SAM, 1, "1/2")
    for precision in ("multi", "float64"):
        kwargs = {"landscape": TORUS, "etas": [2.0**-5, 2.0**-6], "precision": precision}
        truth = verify_one_step(
            sde, **planned(OneStepPlan, points=torch.tensor([[1.0, 2.0]], dtype=F64), **kwargs)
        ).errors
        for points in (torch.tensor([[1.0, 2.0]]), torch.tensor([[1, 2]]), [[1.0, 2.0]]):
            assert verify_one_step(sde, **planned(OneStepPlan, points=points, **kwargs)).errors == truth


# -- what cannot be told, and refusals


def test_errors_that_drown_are_inconclusive():
    etas = [2.0**-12, 2.0**-14, 2.0**-16]
    result = verify_one_step(derive(SAM, 2, "2/3"), landscape=TORUS, etas=etas, plan=OneStepPlan(precision="float64"))
    assert result.verdict == "inconclusive"
    assert "is not far above rounding" in result.reason


@pytest.mark.parametrize("precision", ["multi", "float64"])
def test_an_exact_sde_is_inconclusive(precision):
    wind = Rule("wind", direction("v"))
    sde = derive(wind, 1, 1)
    result = verify_one_step(sde, landscape=TORUS, values=values_of(wind), plan=OneStepPlan(precision=precision))
    assert result.verdict == "inconclusive"
    assert max(result.errors) < 1e-14


def test_step_sizes_above_1_keep_some_digits():
    result = verify_one_step(derive(SAM, 1, "1/3"), landscape=TORUS, etas=[1e6, 1e5])
    assert result.details["digits"] == 20
    assert result.verdict != "pass"


@pytest.mark.parametrize("precision", ["multi", "float64"])
def test_a_point_without_a_gradient_is_refused(precision):
    f = Quadratic(np.eye(2), centres=[[0.5, 0.25], [0.0, 0.0]])
    at = torch.tensor([[1.0, 1.0], [0.5, 0.25]], dtype=F64)
    with pytest.raises(InputError, match=r"rule 'sam' needs norm\(g\) away from 0, but it is 0 at a point"):
        verify_one_step(derive(SAM, 1, "1/2"), landscape=f, points=at, plan=OneStepPlan(precision=precision))
    assert verify_one_step(derive(USAM, 1, "1/2"), landscape=f, points=at, etas=SMALL).verdict == "pass"


@pytest.mark.parametrize("precision", ["multi", "float64"])
@pytest.mark.parametrize("formula", [sympy.sqrt(X[0]) + X[1], 1 / (X[0] + 1) + X[1]], ids=str)
def test_points_outside_a_formulas_domain(precision, formula):
    """Not a number at one of three points, the first: it must not be overlooked."""
    f = FormulaLandscape(X, [formula, X[0] ** 2 + X[1]])
    at = torch.tensor([[-1.0, 0.0], [2.0, 1.0], [3.0, 1.0]], dtype=F64)
    for points in (at, at.flip(0)):
        with pytest.raises(InputError, match="rule 'sgd' gives values that are not finite on this landscape"):
            verify_one_step(
                derive(RULES["sgd"], 1, 1), landscape=f, points=points, plan=OneStepPlan(precision=precision)
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": "float32"}, "precision 'float32' is not one of: multi, float64"),
        ({"landscape": network(), "precision": "multi"}, "NetworkLandscape has no closed formula"),
        ({"points": torch.ones(3, 1)}, "points have shape (3, 1); expected finite numbers of shape (P, 2)"),
        ({"points": torch.ones(2)}, "points have shape (2,); expected finite numbers of shape (P, 2)"),
        ({"points": torch.ones(0, 2)}, "points have shape (0, 2)"),
        ({"points": torch.tensor([[1.0, math.nan]])}, "expected finite numbers"),
        ({"etas": [0.1]}, "at least two and decreasing"),
        ({"rho_scale": 0.0}, "rho scale 0.0 is not positive"),
        ({"sde": SAM}, "found Rule; expected an SDE"),
        ({"landscape": None}, "found NoneType; expected a landscape"),
        ({"sde": derive(RULES["cr-sam"], 1, 1)}, "the symbol alpha is unbound"),
        ({"expected": math.nan}, "expected order nan is not a number"),
        ({"sde": derive(find_rule("grad(rho*unit(g))"), 1, 1), "values": {"w": 1.0}}, "has no symbol w"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_one_step(**planned(OneStepPlan, **{"sde": derive(SAM, 1, "1/2"), "landscape": TORUS, **arguments}))
