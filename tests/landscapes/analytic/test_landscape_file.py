"""Landscapes from JSON and back."""

import json

import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, Quadratic, TiltedTorus, read_landscape
from eigensam.landscapes.analytic.landscape_file import landscape_from_dict

Z = sympy.symbols("z:3", real=True)
X, Y = sympy.symbols("x y")
TORUS = {"kind": "torus", "tilts": [[2.0]], "frequencies": [[1]], "amplitudes": [[0.5]], "phases": [[0]]}
QUADRATIC = {"kind": "quadratic", "hessian": [[2]], "centres": [[0.0], [1.0]]}
FORMULA = {"kind": "formula", "coordinates": ["x", "y"], "losses": ["x**2*y", "0.1*sin(x)"]}


@pytest.fixture(name="read")
def _read(tmp_path):
    def read(value):
        path = tmp_path / "valley.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return read_landscape(path)

    return read


def test_each_kind_is_what_python_makes(read):
    point = torch.tensor([0.3], dtype=torch.float64)
    torus = TiltedTorus([[2.0]], [[1]], [[0.5]], [[0.0]])
    assert torch.equal(read(TORUS).gradients(point), torus.gradients(point))
    assert torch.equal(read(QUADRATIC).losses(point), Quadratic([[2.0]], [[0.0], [1.0]]).losses(point))
    assert read(FORMULA).formulas([X, Y]) == [X**2 * Y, sympy.sin(X) / 10]


@pytest.mark.parametrize(
    "landscape",
    [
        TiltedTorus.default(2),
        TiltedTorus.random(3),
        Quadratic([[3.0, 0.1], [0.1, 2.0]], [[0.1, 0.7], [1e-17, 1e30]]),
        Quadratic([[[3.0]], [[1 / 3]]], [[0.1], [0.2]]),
        FormulaLandscape(
            [X, Y],
            [
                (1 - X) ** 2 + 100 * (Y - X**2) ** 2,
                -sympy.exp(-(X**2) / 2) / sympy.sqrt(2 * sympy.pi * Y) + sympy.E * X ** sympy.Rational(2, 3),
                0.1 * sympy.sin(0.35 * X - Y / 3) * sympy.Abs(X) - sympy.sign(Y) * sympy.sqrt(X**2),
                X / Y**2 - 3 * (X + Y) / 2 + 2**X + sympy.cosh(1) - sympy.pi**2,
            ],
        ),
        FormulaLandscape([sympy.Symbol("x", positive=True)], [sympy.log(sympy.Symbol("x", positive=True) ** 3)]),
    ],
    ids=lambda f: f"{type(f).__name__}{f.dim}",
)
def test_round_trip(landscape, read):
    """Through a file, twice: the same object, and the same losses as formulas and as numbers."""
    again = read(landscape.to_dict())
    assert type(again) is type(landscape)
    assert again.to_dict() == landscape.to_dict()
    symbols = Z[: landscape.dim]
    assert again.formulas(symbols) == landscape.formulas(symbols)
    x = torch.rand(4, 1, landscape.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.testing.assert_close(again.losses(x), landscape.losses(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("names", [["sin", "x"], ["x_{1}", "y"], ["lambda", "y"], ["θ", "y"], ["pi", "E"]])
def test_names_that_text_cannot_hold_are_replaced(names):
    a, b = map(sympy.Symbol, names)
    f = FormulaLandscape([a, b], [sympy.sin(a) * b])
    assert f.to_dict() == {"kind": "formula", "coordinates": ["x1", "x2"], "losses": ["x2*sin(x1)"]}


def test_symbols_of_one_name_are_replaced():
    a, b = sympy.Dummy("x"), sympy.Dummy("x")
    again = landscape_from_dict(FormulaLandscape([a, b], [a / b]).to_dict(), "a result")
    assert again.formulas([X, Y]) == [X / Y]


def _with(base, **changes):
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[1, 2", r"valley.json is not JSON"),
        (
            [1, 2],
            r"valley.json: found \[1, 2\]; expected an object whose key 'kind' is one of torus, quadratic, formula, ",
        ),
        ({}, 'found \'no kind\'; expected an object .* such as {"kind": "formula"'),
        ({"kind": "valley"}, "found 'valley'; expected"),
        ({"kind": ["torus"]}, r"found \['torus'\]; expected"),
        (_with(TORUS, tilt=[[1]]), "unknown key 'tilt'; a torus has the keys kind, tilts, frequencies, .*: remove it"),
        (_with(TORUS, phases=None), "valley.json: key 'phases' is missing; a torus has the keys .*: add it"),
        (_with(QUADRATIC, centres=None), "key 'centres' is missing; a quadratic has the keys kind, hessian, centres"),
        (_with(TORUS, tilts=2.0), r"key 'tilts' is 2.0; expected lists in lists of numbers such as \[\[2.0\]\]"),
        (_with(TORUS, tilts=[["2"]]), "key 'tilts' is"),
        (_with(TORUS, tilts=[[True]]), "key 'tilts' is"),
        (_with(TORUS, tilts=[[{}]] * 100), r"key 'tilts' is .{60}\.\.\.; expected"),
        (_with(TORUS, tilts=[[2.0], []]), "valley.json: tilts must be real numbers"),
        (_with(TORUS, tilts=[[float("nan")]]), "valley.json is not JSON \\(NaN is no number\\)"),
        ('{"kind": "torus", "tilts": [[1e999]], "frequencies": [[1]], "amplitudes": [[1]], "phases": [[0]]}', "tilts"),
        ('{"kind": "formula", "kind": "torus"}', "the key 'kind' is there twice"),
        (_with(TORUS, phases=[[0, 1]]), "valley.json: amplitudes .* must have shape"),
        (_with(TORUS, frequencies=[[0.5]]), "valley.json: frequencies must be integers"),
        (_with(QUADRATIC, hessian=[2]), "valley.json: hessian's entries have shape"),
        (_with(QUADRATIC, hessian="2"), "key 'hessian' is '2'; expected lists in lists of numbers"),
        (_with(QUADRATIC, hessian=[[1, 2], [3, 4]]), "valley.json: hessian of shape"),
        (
            _with(FORMULA, coordinates="x"),
            r"key 'coordinates' is 'x'; expected a list of texts such as \[\"x\", \"y\"\]",
        ),
        (_with(FORMULA, losses=[]), r"key 'losses' is \[\]; expected a list of texts"),
        (_with(FORMULA, losses=[1]), r"key 'losses' is \[1\]; expected a list of texts"),
        (_with(FORMULA, coordinates=["x", "x"]), "key 'coordinates' contains 'x'; expected names .* each once"),
        (_with(FORMULA, coordinates=["x", "sin"]), "key 'coordinates' contains 'sin'; expected names .* not functions"),
        (_with(FORMULA, coordinates=["x", "a b"]), "key 'coordinates' contains 'a b'"),
        (_with(FORMULA, losses=["x", "z"]), r"valley.json: losses\[1\]: 'z': 'z' is not part of a formula"),
        (_with(FORMULA, losses=["tan(pi/2)*x"]), "valley.json: the formula zoo\\*x contains zoo"),
        (_with(FORMULA, losses=["x"] * 1001), "key 'losses' has 1001 formulas with 1001 characters; at most 1000 with"),
        (_with(FORMULA, losses=["x" * 3000] * 20), "has 20 formulas with 60000 characters"),
    ],
)
def test_refusals(read, value, message):
    with pytest.raises(InputError, match=message):
        read(value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*nothing\.json: No such file"):
        read_landscape(tmp_path / "nothing.json")
