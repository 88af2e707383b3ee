"""Ranges of formulas over boxes, rounded outward: interval arithmetic on many boxes at once.

A sum, product or power of floats is off by half a unit in the last place, and numpy's sine, cosine, exponential and
hyperbolic tangent by a few; every end is widened by ``2^-48`` of its size, which is sixteen units, and by the smallest
normal number. Ends may be infinite.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy.special import erf

from ...ground.errors import InputError

__all__ = ["Range", "boxes", "range_of", "sharper_range"]

Range = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lower and upper ends, one for each box."""

_WIDEN, _TINY = 2.0**-48, float(np.finfo(np.float64).tiny)


def boxes(box: Mapping[sympy.Symbol, tuple[float, float]], pieces: int) -> dict[sympy.Symbol, Range]:
    """A box cut into equal pieces along each side; a side of infinite length is one piece.

    Args:
        box: an interval for each coordinate.
        pieces: of each side.

    Example:
        >>> x = sympy.Symbol("x")
        >>> [ends.tolist() for ends in boxes({x: (0.0, 1.0)}, 2)[x]]
        [[0.0, 0.5], [0.5, 1.0]]
    """
    sides = []
    for low, high in box.values():
        if math.isinf(high - low):
            sides.append((np.array([low]), np.array([high])))
        else:
            edges = np.linspace(low, high, pieces + 1)
            sides.append((edges[:-1], edges[1:]))
    lows = np.meshgrid(*[side[0] for side in sides], indexing="ij")
    highs = np.meshgrid(*[side[1] for side in sides], indexing="ij")
    return {name: (low.ravel(), high.ravel()) for name, low, high in zip(box, lows, highs, strict=True)}


def range_of(formula: sympy.Expr, where: Mapping[sympy.Symbol, Range]) -> Range:
    """An interval that holds all values of a formula, for each box.

    Args:
        formula: of numbers, coordinates, sums, products, whole powers, ``sin``, ``cos``, ``exp``, ``tanh``, ``erf``,
            ``Abs``.
        where: each coordinate's range.

    Raises:
        InputError: anything else in the formula.

    Example:
        >>> x = sympy.Symbol("x")
        >>> low, high = range_of(x**2 + sympy.cos(x), boxes({x: (-math.inf, math.inf)}, 1))
        >>> float(high[0]), -1.001 < float(low[0]) < -0.999
        (inf, True)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _range(sympy.sympify(formula), where)


def sharper_range(formula: sympy.Expr, where: Mapping[sympy.Symbol, Range]) -> Range:
    """As :func:`range_of`, cut by the mean value form ``f(c) + sum_i d_i f (x_i - c_i)``, ``c`` the middle of a box.

    Its excess shrinks with the square of the box's size, where that of interval arithmetic shrinks with the size: a
    difference of two nearly equal terms needs it. All boxes are finite.

    Example:
        >>> x = sympy.Symbol("x")
        >>> found = sharper_range(x - sympy.sin(x), boxes({x: (0.1, 1.0)}, 50))
        >>> bool(found[0].min() > 0), bool(range_of(x - sympy.sin(x), boxes({x: (0.1, 1.0)}, 50))[0].min() > 0)
        (True, False)
    """
    low, high = range_of(formula, where)
    centres = {name: ((a + b) / 2, (a + b) / 2) for name, (a, b) in where.items()}
    mean = range_of(formula, centres)
    for name, (a, b) in where.items():
        centre = centres[name][0]
        change = _product(range_of(sympy.diff(formula, name), where), _widened(a - centre, b - centre))
        mean = _widened(mean[0] + change[0], mean[1] + change[1])
    return np.maximum(low, mean[0]), np.minimum(high, mean[1])


def _range(formula: Any, where: Mapping[sympy.Symbol, Range]) -> Range:
    if formula in where:
        return where[formula]
    size = len(next(iter(where.values()))[0])
    if formula.is_number:
        value = float(formula)
        return _widened(np.full(size, value), np.full(size, value))
    parts = [_range(part, where) for part in formula.args] if not formula.is_Pow else []
    if formula.is_Add:
        return _widened(sum(low for low, _ in parts), sum(high for _, high in parts))
    if formula.is_Mul:
        result = parts[0]
        for part in parts[1:]:
            result = _product(result, part)
        return result
    if formula.is_Pow and formula.exp.is_Integer:
        base, power = _range(formula.base, where), int(formula.exp)
        return _power(base, power) if power > 0 else _reciprocal(_power(base, -power))
    if formula.func in _MONOTONE:
        low, high = parts[0]
        function = _MONOTONE[formula.func]
        return _widened(function(low), function(high))
    if formula.func in (sympy.cos, sympy.sin):
        return _wave(np.cos if formula.func is sympy.cos else np.sin, *parts[0])
    if formula.func is sympy.Abs:
        low, high = parts[0]
        smallest = np.where((low <= 0) & (high >= 0), 0.0, np.minimum(abs(low), abs(high)))
        return smallest, np.maximum(abs(low), abs(high))
    raise InputError(
        f"no range is known of '{formula}'; write it with sums, products, whole powers, sin, cos, exp, tanh, erf"
    )


_MONOTONE: Mapping[Any, Callable[[Any], Any]] = {sympy.exp: np.exp, sympy.tanh: np.tanh, sympy.erf: erf}


def _widened(low: Any, high: Any) -> Range:
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    return low - (_WIDEN * np.nan_to_num(abs(low), posinf=0.0) + _TINY), high + (
        _WIDEN * np.nan_to_num(abs(high), posinf=0.0) + _TINY
    )


def _product(first: Range, second: Range) -> Range:
    ends = [np.where((a == 0) | (b == 0), 0.0, a * b) for a in first for b in second]  # 0 times any number is 0
    return _widened(np.minimum.reduce(ends), np.maximum.reduce(ends))


def _power(base: Range, power: int) -> Range:
    low, high = base[0] ** power, base[1] ** power
    if power % 2:
        return _widened(low, high)
    smallest = np.where((base[0] <= 0) & (base[1] >= 0), 0.0, np.minimum(low, high))
    bottom, top = _widened(smallest, np.maximum(low, high))
    return np.maximum(bottom, 0.0), top


def _reciprocal(of: Range) -> Range:
    across = (of[0] <= 0) & (of[1] >= 0)
    with np.errstate(divide="ignore"):
        low, high = 1 / of[1], 1 / of[0]
    return _widened(np.where(across, -np.inf, low), np.where(across, np.inf, high))


def _wave(function: Callable[[Any], Any], low: NDArray[np.float64], high: NDArray[np.float64]) -> Range:
    """A sine changes by at most the distance; the middle's own rounding is of its size."""
    wide = ~np.isfinite(high - low)
    middle = np.where(wide, 0.0, (low + high) / 2)
    half = np.where(wide, 2.0, (high - low) / 2 + _WIDEN * (1 + abs(middle)))
    centre = function(middle)
    bottom, top = _widened(centre - half, centre + half)
    return np.maximum(bottom, -1.0), np.minimum(top, 1.0)
