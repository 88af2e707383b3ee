"""Landscapes from formulas, and the formulas of the analytic ones."""

import math

import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, NetworkLandscape, Quadratic, TiltedTorus, Valley
from eigensam.landscapes.analytic.formula import compile_torch, decimal

X, Y = sympy.symbols("x y", real=True)


@pytest.mark.parametrize(
    "landscape",
    [
        Quadratic([[3.0, 1.0], [1.0, 2.0]], centres=[[0.1, 1.0], [1.0, -0.3]]),
        Quadratic([[[3.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 4.0]]], centres=[[0.1, 1.0], [1.0, -0.3]]),
        Valley(),
        TiltedTorus.default(1),
        TiltedTorus.default(2),
        TiltedTorus.random(3, size=2),
    ],
    ids=lambda f: f"{type(f).__name__}{f.dim}",
)
def test_formulas_are_the_losses(landscape):
    """As numbers, and through a landscape made of them: same losses, gradients and third derivatives."""
    symbols = sympy.symbols(f"z:{landscape.dim}")
    formulas = landscape.formulas(symbols)
    assert not any(formula.has(sympy.Float) for formula in formulas)
    again = FormulaLandscape(symbols, formulas)
    x = torch.randn(5, 1, landscape.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    numbers = [float(f.subs(dict(zip(symbols, x[3, 0].tolist(), strict=True)))) for f in formulas]
    torch.testing.assert_close(landscape.losses(x)[3], torch.tensor(numbers, dtype=torch.float64))
    torch.testing.assert_close(again.losses(x), landscape.losses(x))
    torch.testing.assert_close(again.gradients(x), landscape.gradients(x))
    torch.testing.assert_close(again.third_products(x, x), landscape.third_products(x, x))
    assert again.formulas(symbols) == formulas


def test_every_function_has_its_derivatives():
    """Each function that a formula may contain, against sympy's derivative."""
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "erf", "atan", "asinh", "Abs"):
        formula = getattr(sympy, name)(X + 2) + Y
        f = FormulaLandscape([X, Y], [formula])
        point = torch.tensor([-0.7, 0.2], dtype=torch.float64)
        truth = float(sympy.diff(formula, X).subs({X: -0.7}).evalf())
        assert f.gradient(point).tolist() == pytest.approx([truth, 1.0])
    signs = compile_torch([X], [sympy.sign(X)])
    assert signs(torch.tensor([-2.0, 3.0]))[0].tolist() == [-1.0, 1.0]


def test_constants_in_formulas():
    f = FormulaLandscape([X], [sympy.sqrt(2) * X + sympy.exp(2) * X**2 + sympy.pi * X * sympy.sin(1)])
    truth = 2**0.5 + 2 * float(sympy.exp(2)) + float(sympy.pi * sympy.sin(1))
    assert f.gradient(torch.ones(1, dtype=torch.float64)).item() == pytest.approx(truth)
    assert FormulaLandscape([sympy.Symbol("sin")], [sympy.sin(sympy.Symbol("sin"))]).dim == 1


def test_integers_beyond_those_of_torch():
    f = FormulaLandscape([X], [10**20 * X + 10**25, sympy.sin(10**19 * X) / 10**19])
    x = torch.zeros(1, dtype=torch.float64)
    assert f.gradients(x).tolist() == [[pytest.approx(1e20)], [1.0]]
    assert f.losses(x).tolist() == [1e25, 0.0]


def test_deeply_nested_formulas_compile():
    """With complex arguments, sympy needs time exponential in the depth: 84 seconds for 18 levels of cosh."""
    formula, value = sympy.Symbol("x"), 0.2
    for _ in range(15):
        formula, value = sympy.tanh(1 + formula, evaluate=False), math.tanh(1 + value)
    found = FormulaLandscape([sympy.Symbol("x")], [formula]).losses(torch.tensor([0.2], dtype=torch.float64))
    assert found.item() == pytest.approx(value)


def test_minibatches_at_their_own_points():
    f = FormulaLandscape([X], [X**2, 5 * X, sympy.Integer(3)])
    points = torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    assert f.losses(points).tolist() == [1.0, 10.0, 3.0]
    assert f.gradients(points).tolist() == [[2.0], [5.0], [0.0]]


def test_floats_become_decimals():
    f = FormulaLandscape([X], [0.1 * X])
    assert f.formulas([Y]) == [Y / 10]
    assert decimal(0.35) == sympy.Rational(7, 20)


@pytest.mark.parametrize(
    ("symbols", "losses", "message"),
    [
        ([X], [], "needs at least one symbol, each once, and one formula"),
        ([], [X], "needs at least one symbol"),
        ([X], [X * Y], "contains y; its coordinates are x, with"),
        ([X], [sympy.gamma(X)], r"contains gamma\(x\); known are finite real numbers, arithmetic and Abs, asinh"),
        ([X], [sympy.I * X], "contains I; known are"),
        ([X], [sympy.oo * X], "contains oo; known are"),
        ([X], [sympy.Integral(X, X)], "contains Integral"),
        ([X], ["x**2"], "found the formula 'x\\*\\*2' .*; expected a sympy expression"),
        (["x"], [X], "expected a sympy expression in sympy symbols"),
        ([X], [X > 1], "expected a sympy expression"),
        ([X, X], [X], "each once"),
        ([X], [sympy.Symbol("x")], "with the same assumptions"),
    ],
)
def test_refusals(symbols, losses, message):
    with pytest.raises(InputError, match=message):
        FormulaLandscape(symbols, losses)


def test_a_network_has_no_formula():
    f = NetworkLandscape.from_tensors(
        torch.nn.Linear(2, 2), torch.nn.functional.cross_entropy, torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)
    )
    with pytest.raises(InputError, match="NetworkLandscape has no closed formula; use an analytic landscape"):
        f.formulas([X])


def test_in_single_precision():
    x, y = sympy.symbols("x y")
    f = FormulaLandscape([x, y], [(1 - x) ** 2 + sympy.exp(x * y / 3), sympy.pi * sympy.sin(y) ** 2])
    point = torch.tensor([0.3, 0.7], dtype=torch.float64)
    found = f.to(torch.float32).hessian_products(point.float(), point.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), f.hessian_products(point, point), rtol=1e-5, atol=1e-5)
