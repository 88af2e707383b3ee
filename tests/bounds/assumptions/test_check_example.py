"""Losses in closed form: constants against closed forms and samples, and the wrong ones fail."""

import json
import math

import numpy as np
import pytest
import sympy
import torch

from eigensam.bounds import EXAMPLES, ExampleLoss, check_example
from eigensam.bounds.assumptions.check_example import certified_constants
from eigensam.bounds.assumptions.example_losses import SIGMA
from eigensam.ground import InputError

RIGHT = [each for each in EXAMPLES.values() if not each.fails]
WRONG = [each for each in EXAMPLES.values() if each.fails]
X = sympy.Symbol("x", real=True)


def test_there_are_three_and_a_wrong_one_for_each_row():
    assert len(RIGHT) == 3
    rows = {row.name for row in check_example(RIGHT[0]).rows} - {"independent minibatches"}  # by definition
    assert {each.fails for each in WRONG} == rows


@pytest.mark.parametrize("example", RIGHT, ids=lambda each: each.name)
def test_all_assumptions_hold(example):
    table = check_example(example)
    assert {row.verdict for row in table.rows} == {"holds"}
    assert {row.ground for row in table.rows} == {"proof"}
    assert all(row.source for row in table.rows)


@pytest.mark.parametrize("example", WRONG, ids=lambda each: each.name)
def test_wrong_on_purpose(example):
    table = check_example(example.name)
    assert table.row(example.fails).verdict == "fails"
    json.dumps(table.to_dict(), allow_nan=False)


def sampled(example, count=4000):
    """The constants at random points of the box, from derivatives by torch."""
    landscape = example.landscape()
    generator = np.random.default_rng(1)
    lows, highs = np.array(list(example.domain.values())).T
    points = torch.from_numpy(generator.uniform(lows, highs, (count, len(lows))))[:, None]
    corners = torch.from_numpy(np.stack(np.meshgrid(*zip(lows, highs, strict=True)), -1).reshape(-1, len(lows)))
    points = torch.cat([points, corners[:, None]])
    d = len(lows)
    units = torch.eye(d, dtype=torch.float64)
    hessians = torch.stack([landscape.hessian_products(points, u) for u in units], -1)
    angles = torch.linspace(0, math.pi, 50, dtype=torch.float64)
    spread = torch.stack([angles.cos(), angles.sin()], -1) if d == 2 else torch.ones(1, 1, dtype=torch.float64)
    third = max(float((landscape.third_products(points, u) @ u).abs().max()) for u in spread)
    mean = torch.linalg.eigvalsh(hessians.mean(1))
    return {
        "loss": float(landscape.losses(points).abs().max()),
        "gradient": float(landscape.gradients(points).norm(dim=-1).max()),
        "gradient_floor": float(landscape.gradients(points).norm(dim=-1).min()),
        "hessian": float(torch.linalg.eigvalsh(hessians).abs().max()),
        "third": third,
        "gap": float((mean[:, -1] - mean[:, -2]).min()) if d == 2 else math.inf,
    }


@pytest.mark.parametrize("example", RIGHT, ids=lambda each: each.name)
def test_constants_against_samples(example):
    """No sample is beyond a constant; and none is far within, as an end of 10^9 would be."""
    proved, found = certified_constants(example), sampled(example)
    for name in ("loss", "gradient", "hessian", "third"):
        assert found[name] <= getattr(proved, name) <= 1.6 * found[name], name
    for name in ("gradient_floor", "gap"):
        assert getattr(proved, name) <= found[name] <= 1.3 * getattr(proved, name), name


def test_constants_in_closed_form():
    """Of c x - a cos x on [-1.2, 1.2]: c + a sin x, a cos x, -a sin x."""
    found = certified_constants(EXAMPLES["tilted-torus"])
    assert found.gradient == pytest.approx(1.5 + 0.6 * math.sin(1.2), rel=1e-3)
    assert found.gradient_floor == pytest.approx(0.9 - 0.4 * math.sin(1.2), rel=1e-3)
    assert (found.hessian, found.third) == pytest.approx((0.6, 0.6 * math.sin(1.2)), rel=1e-3)
    everywhere = certified_constants(EXAMPLES["tilted-torus"], everywhere=True)
    assert (everywhere.hessian, everywhere.third, everywhere.fourth) == pytest.approx((0.6, 0.6, 0.6))
    assert everywhere.gradient_floor == pytest.approx(0.9 - 0.4)
    assert math.isinf(everywhere.loss)
    bounded = certified_constants(EXAMPLES["probit-regression"])
    assert bounded.loss == pytest.approx(0.5 * math.erfc((0.7 * 0.9 - 0.3 * 0.2) / math.sqrt(2)), rel=1e-2)


@pytest.mark.parametrize("example", [*RIGHT, EXAMPLES["wrong-concave"]], ids=lambda each: each.name)
@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_the_rise_in_closed_form(example, sigma):
    """Against Gauss-Hermite quadrature of the landscape."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    d = len(example.domain)
    grid = torch.from_numpy(np.stack(np.meshgrid(*[nodes] * d, indexing="ij"), -1).reshape(-1, d))
    mass = torch.from_numpy(np.prod(np.meshgrid(*[weights] * d, indexing="ij"), axis=0).ravel())
    landscape = example.landscape()
    rise = sympy.lambdify(list(example.domain), sympy.sympify(example.rise).subs(SIGMA, sigma))
    for share in (0.1, 0.5, 0.8):
        point = torch.tensor([low + share * (high - low) for low, high in example.domain.values()], dtype=torch.float64)
        mean = float((mass * landscape.loss((point + sigma * grid)[:, None])).sum() / mass.sum())
        assert rise(*point.tolist()) == pytest.approx(mean - float(landscape.loss(point)), abs=1e-9)


def test_a_loss_of_ones_own():
    own = ExampleLoss("own", "a tilted tanh", [3 * X + sympy.tanh(X)], {X: (-1.0, 0.0)}, sympy.Integer(0))
    table = check_example(own)
    assert table.row("gradient Lipschitz in the parameters").numbers["upper"] == pytest.approx(
        4 / (3 * math.sqrt(3)), rel=1e-2
    )
    floor = table.row("gradients bounded away from 0").numbers["floor"]
    assert floor == pytest.approx(3 + 1 / math.cosh(1) ** 2, rel=1e-3)


@pytest.mark.parametrize(
    ("formula", "verdict"),
    [(sympy.Abs(X), "fails"), (X * sympy.Abs(X), "fails"), (X**4 * sympy.Abs(X), "cannot be decided here"),
     (1 / (2 + X), "holds"), (1 / (X + sympy.Rational(1, 3)), "cannot be decided here"), (sympy.exp(X), "holds")],
    ids=str,
)  # fmt: skip
def test_smoothness(formula, verdict):
    own = ExampleLoss("own", "", [formula], {X: (-1.0, 1.2)}, sympy.Integer(0))
    assert check_example(own).row("continuous third and fourth derivatives").verdict == verdict


def test_refusals():
    with pytest.raises(InputError, match="unknown example 'flat'; choose one of: tilted-torus, stiff-torus"):
        check_example("flat")
    with pytest.raises(InputError, match="sigma = 0 must be positive"):
        check_example("tilted-torus", sigma=0)
    three = dict.fromkeys(sympy.symbols("x y z", real=True), (0.0, 1.0))
    with pytest.raises(InputError, match="the loss has 3 parameters"):
        check_example(ExampleLoss("own", "", [sum(three)], three, sympy.Integer(0)))
