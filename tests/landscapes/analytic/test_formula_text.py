"""Formulas as text: what they mean, and that nothing hostile is computed."""

import math
import time

import pytest
import sympy

from eigensam.ground import InputError
from eigensam.landscapes.analytic.formula import FUNCTIONS
from eigensam.landscapes.analytic.formula_text import read_formula

X, Y = sympy.symbols("x y", real=True)
COORDINATES = {"x": X, "y": Y}
ENOUGH_SECONDS = 10  # the slowest hostile text takes about one, a hang for ever


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("(1 - x)**2 + 100*(y - x**2)**2", (1 - X) ** 2 + 100 * (Y - X**2) ** 2),
        (" 0.1*x ", X / 10),
        ("1.00000000000000000001*x - x", X / 10**20),
        ("0.1234567890123456789012345*x", sympy.Rational("0.1234567890123456789012345") * X),
        ("1e-300*x + 0e999999999", X / 10**300),
        ("1_0.5*x + 0x10", sympy.Rational(21, 2) * X + 16),
        ("1e-3 + 2.50*y", sympy.Rational(1, 1000) + sympy.Rational(5, 2) * Y),
        ("-x**2", -(X**2)),
        ("(-2)**x/3", sympy.Integer(-2) ** X / 3),
        ("x**-0.5", 1 / sympy.sqrt(X)),
        ("2*pi*x + E**y", 2 * sympy.pi * X + sympy.exp(Y)),
        ("sqrt(x**2)", sympy.Abs(X)),
        ("x - x", sympy.Integer(0)),
        ("exp(-Abs(x))*sign(y)", sympy.exp(-sympy.Abs(X)) * sympy.sign(Y)),
        ("sqrt(2) - sqrt(2)", sympy.Integer(0)),
        ("--x", X),
    ],
)
def test_meaning(text, truth):
    assert read_formula(text, COORDINATES) == truth


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"signum"}))
def test_every_function(name):
    """As sympy's function of that name, and, of a constant, with the value that sympy finds."""
    assert read_formula(f"{name}(x + 2)", COORDINATES) == getattr(sympy, name)(X + 2)
    assert float(read_formula(f"{name}(0.3) + x", COORDINATES).subs(X, 0)) == pytest.approx(
        float(FUNCTIONS[name](0.3)), rel=1e-14
    )


def test_coordinates_come_before_constants():
    """Which the reader of files refuses, but not this one."""
    e = sympy.Symbol("E", real=True)
    assert read_formula("E + pi", {"E": e}) == e + sympy.pi


def test_long_sums_and_products_are_not_deep():
    assert read_formula("+".join(["x*y"] * 200), COORDINATES) == 200 * X * Y
    assert read_formula("*".join(["x"] * 200), COORDINATES) == X**200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x +", "'x \\+': it is not arithmetic; write e.g. 'x\\*\\*2"),
        ("", "it is not arithmetic"),
        ("x\ny", r"'x\\ny': it is not arithmetic"),
        ("\0", "it is not arithmetic"),
        ("9" * 5000, "it is not arithmetic"),
        ("z + x", "'z' is not part of a formula; known are the coordinates x, y, numbers, pi, E, .* Abs, asinh, atan"),
        ("__import__('os')", "is not part of a formula"),
        ("x.real", "is not part of a formula"),
        ("x[0]", "is not part of a formula"),
        ("True", "'True' is not part"),
        ("1j", "'1j' is not part"),
        ("x % 2", "is not part of a formula"),
        ("x if y else 1", "is not part of a formula"),
        ("sin", "'sin' is not part"),
        ("sin(x, y)", "is not part of a formula"),
        ("gamma(x)", "is not part of a formula"),
        ("signum(x)", "is not part of a formula"),
        ("x/0", "'x / 0' divides by zero; change the denominator"),
        ("x/(y - y)", "divides by zero"),
        ("1/(sin(pi)*x)", "divides by zero"),
        ("0**-1", r"is not a finite real number; change it"),
        ("(-8)**(1/3)", "is not a finite real number"),
        ("sqrt(-1)", "'sqrt\\(-1\\)' is not a finite real number"),
        ("log(0)*x", "is not a finite real number"),
        ("exp(exp(7)) + x", "is not a finite real number"),
        ("1e200*10**200", "is not a finite real number"),
        (
            "1e400",
            r"1e400 is too large or too small to be read exactly; give numerators and denominators below 2\^1000",
        ),
        ("1e-400*x", "1e-400 is too large or too small"),
        ("1e999999999*x", "1e999999999 is too large"),
        ("1e-999999999*x", "1e-999999999 is too large or too small"),
        ("1e99999999999999999999*x", "is not a number|is too large"),
        ("9" * 400, "is too large"),
        ("x + " * 2000 + "x", "has 8001 characters; a formula may have 5000, split or simplify it"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(InputError, match=message):
        read_formula(text, COORDINATES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9**9**9", "'9 \\*\\* 9 \\*\\* 9' has an exponent that is too large; at most 1000"),
        ("x**-1001", "has an exponent that is too large"),
        ("((2*x)**1000)**1000", "exponent that is too large; at most 1000 is read, and numbers of 65536 bits"),
        ("((9**100)**100)**100", "is not a finite real number"),
        ("1.0000001**1000", "contains numbers of 23254 bits; at most 1000 are read, rescale it"),
        ("x*10**200*10**200", "contains numbers of 1329 bits"),
        ("exp(exp(exp(exp(5))))", "is not a finite real number"),
        ("Abs(sqrt(2) + sqrt(3) - sqrt(5 + 2*sqrt(6)))", "is a difference of almost equal constants; write its value"),
        ("-" * 41 + "x", "more than 40 operations inside each other; simplify it"),
        ("-" * 4999 + "x", "is nested too deeply; simplify it"),
        ("(" * 2499 + "x" + ")" * 2499, "it is not arithmetic|nested too deeply"),
        ("sin(" * 900 + "x" + ")" * 900, "it is not arithmetic|nested too deeply"),
        ("x+" * 2499 + "x", "nested too deeply"),
        ("x**" * 1600 + "x", "nested too deeply|operations inside each other"),
    ],
)
def test_hostile_texts_are_refused_at_once(text, message):
    start = time.process_time()
    with pytest.raises(InputError, match=message):
        read_formula(text, COORDINATES)
    assert time.process_time() - start < ENOUGH_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "((x + y)**1000)**1000",
        "tanh(1 + " * 19 + "x" + ")" * 19,
        "sign(1 - " * 19 + "x" + ")" * 19,
        "Abs(x + " * 19 + "y" + ")" * 19,
        "log(" * 39 + "x" + ")" * 39,
        "sqrt(1 + " * 19 + "2" + ")" * 19,
        "Abs(x + " + " + ".join(f"sqrt({p})" for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)) + ")",
        "sin(1e300*x) + sin(exp(exp(6.5)))",
        f"sqrt({(10**149 + 9) * (10**149 + 33)}) + cos(pi/{10**100 + 1})",
        "+".join(f"sin({k}*x)" for k in range(400)),
    ],
)
def test_demanding_texts_are_read(text):
    start = time.process_time()
    assert read_formula(text, COORDINATES).free_symbols <= {X, Y}
    assert time.process_time() - start < ENOUGH_SECONDS


def test_the_value_of_a_constant_guards_what_sympy_is_asked():
    """Near the limit it is accepted, exactly."""
    assert float(read_formula("exp(709)", COORDINATES)) == pytest.approx(math.exp(709))
    assert read_formula("x*2**999", COORDINATES) == 2**999 * X
