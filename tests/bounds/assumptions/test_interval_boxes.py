"""Ranges against sampled values, closed forms and arithmetic in many digits."""

import math

import mpmath
import numpy as np
import pytest
import sympy

from eigensam.bounds.assumptions.interval_boxes import boxes, range_of, sharper_range
from eigensam.ground import InputError

X, Y = sympy.symbols("x y", real=True)
FORMULAS = [
    X**3 - 2 * X * Y + Y**2,
    sympy.sin(3 * X + Y) * sympy.exp(-(X**2)),
    sympy.tanh(X * Y) + sympy.erf(X - Y) / 3,
    sympy.cos(X) ** 3 * Y**5 + sympy.Rational(1, 3),
    sympy.Abs(X - Y) / (2 + X**2),
    sympy.sqrt(2) * X - sympy.pi * Y,
]


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize("ranged", [range_of, sharper_range])
def test_no_value_is_outside(formula, ranged):
    where = boxes({X: (-1.3, 0.9), Y: (-0.7, 2.1)}, 7)
    low, high = ranged(formula, where) if not formula.has(sympy.Abs) else range_of(formula, where)
    generator = np.random.default_rng(0)
    function = sympy.lambdify((X, Y), formula, "mpmath")
    for k in range(len(low)):
        for share in generator.uniform(size=(3, 2)):
            point = [ends[0][k] + s * (ends[1][k] - ends[0][k]) for ends, s in zip(where.values(), share, strict=True)]
            assert low[k] <= function(*map(mpmath.mpf, point)) <= high[k]


def test_known_ranges():
    where = boxes({X: (-1.0, 2.0)}, 1)
    assert [float(end[0]) for end in range_of(X**2, where)] == pytest.approx([0, 4], abs=1e-12)
    assert [float(end[0]) for end in range_of(X**3, where)] == pytest.approx([-1, 8])
    assert [float(end[0]) for end in range_of(sympy.exp(X), where)] == pytest.approx([math.exp(-1), math.exp(2)])
    assert [float(end[0]) for end in range_of(1 / (3 + X), where)] == pytest.approx([0.2, 0.5])
    assert [float(end[0]) for end in range_of(1 / X, where)] == [-math.inf, math.inf]
    everywhere = boxes({X: (-math.inf, math.inf)}, 9)
    assert [float(end[0]) for end in range_of(sympy.sin(X) * 0.6, everywhere)] == pytest.approx([-0.6, 0.6])
    assert range_of(X**2, everywhere)[1][0] == math.inf


def test_ends_are_rounded_outward():
    """At a point, where floats are off by a unit in the last place, the true value still lies between the ends."""
    for value in (0.1, 0.7, 1.9):
        where = boxes({X: (value, value)}, 1)
        for formula in (X**5, sympy.sin(X), sympy.exp(X), sympy.tanh(X), sympy.erf(X), X / 3):
            low, high = range_of(formula, where)
            with mpmath.workdps(40):
                true = sympy.lambdify(X, formula, "mpmath")(mpmath.mpf(value))
                assert mpmath.mpf(float(low[0])) < true < mpmath.mpf(float(high[0]))
            assert high[0] - low[0] < 1e-12 * max(1, abs(high[0]))


def test_the_mean_value_form_is_sharper():
    formula, widths = X - sympy.sin(X), []
    for pieces in (16, 32):
        where = boxes({X: (0.5, 1.5)}, pieces)
        widths.append([float((r[1] - r[0]).max()) for r in (range_of(formula, where), sharper_range(formula, where))])
    true = 1 / 32 * (1 - math.cos(1.5))  # the largest change over one of 32 pieces, to first order
    assert widths[1][0] > 1.5 * true
    assert widths[1][1] < 1.1 * true


def test_refusal():
    with pytest.raises(InputError, match="no range is known of 'log\\(x\\)'"):
        range_of(sympy.log(X), boxes({X: (1.0, 2.0)}, 1))
