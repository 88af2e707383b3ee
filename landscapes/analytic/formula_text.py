"""Formulas as text, read without evaluating Python; what could make sympy compute without end is refused."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sympy

from ...ground.errors import InputError
from ...ground.exact_numbers import MOST_BITS, literal_number
from .formula import CONSTANTS, FUNCTIONS

__all__ = ["read_formula"]

_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_CHAINS = ((ast.Add, ast.Sub), (ast.Mult, ast.Div))
_CALLABLE = sorted(FUNCTIONS.keys() - {"signum"})  # that one is sign, as torch sees it

# Ours: far beyond what a person writes.
_LONGEST = 5_000  # characters
_DEEPEST = 40  # operations inside each other, where a sum or a product of many counts once
_LARGEST_EXPONENT = 1_000
_MOST_BITS_OF_A_POWER = 2**16
_LEAST_REMAINDER = 1e-9  # of a difference; where irrational constants cancel, sympy searches for an algebraic proof


class _Part(NamedTuple):
    """An expression, and its value if it is a constant."""

    expression: sympy.Expr
    value: float | None


def read_formula(text: str, coordinates: Mapping[str, sympy.Symbol]) -> sympy.Expr:
    """Read ``+ - * / **``, parentheses, decimal numbers (exactly), ``pi``, ``E`` and functions such as ``sin(x)``.

    Args:
        text: the formula.
        coordinates: the symbols that it may contain, by their names.

    Raises:
        InputError: not such a formula; too long, too deep or with too large numbers; a constant that is not real.

    Example:
        >>> import sympy
        >>> from eigensam.landscapes.analytic.formula_text import read_formula
        >>> read_formula("0.1*x**2 + sin(pi/6)", {"x": sympy.Symbol("x", real=True)})
        x**2/10 + 1/2
    """
    shown = _shortened(text)
    if len(text) > _LONGEST:
        raise InputError(f"{shown} has {len(text)} characters; a formula may have {_LONGEST}, split or simplify it")
    try:
        source = text.strip()
        result = _read(ast.parse(source, mode="eval").body, source, coordinates, _DEEPEST).expression
    except (SyntaxError, ValueError) as error:
        reason = error if isinstance(error, InputError) else "it is not arithmetic; write e.g. 'x**2 + sin(y)/2'"
        raise InputError(f"{shown}: {reason}") from None
    except (RecursionError, MemoryError):
        raise InputError(f"{shown} is nested too deeply; simplify it") from None
    if _bits(result) > MOST_BITS:
        raise InputError(f"{shown} contains numbers of {_bits(result)} bits; at most {MOST_BITS} are read, rescale it")
    return result


def _read(node: ast.expr, source: str, coordinates: Mapping[str, sympy.Symbol], depth: int) -> _Part:
    if depth < 0:
        raise InputError(f"more than {_DEEPEST} operations inside each other; simplify it")
    match node:
        case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
            number = literal_number(node, source)
            return _part(sympy.Rational(number.numerator, number.denominator), None)
        case ast.Name(name) if name in coordinates:
            return _Part(coordinates[name], None)
        case ast.Name(name) if name in CONSTANTS:
            return _Part(CONSTANTS[name], float(CONSTANTS[name]))
        case ast.UnaryOp(ast.USub(), operand):
            inside = _read(operand, source, coordinates, depth - 1)
            return _part(-inside.expression, None if inside.value is None else -inside.value)
        case ast.BinOp(left, sign, right) if type(sign) in _OPERATORS:
            continued = isinstance(left, ast.BinOp) and any(
                isinstance(sign, chain) and isinstance(left.op, chain) for chain in _CHAINS
            )
            first = _read(left, source, coordinates, depth if continued else depth - 1)
            return _combined(_OPERATORS[type(sign)], first, _read(right, source, coordinates, depth - 1), node)
        case ast.Call(ast.Name(name), [argument], []) if name in _CALLABLE:
            inside = _read(argument, source, coordinates, depth - 1)
            value = None if inside.value is None else float(FUNCTIONS[name](inside.value))
            _check_finite(0.0 if value is None else value, node)
            return _part(getattr(sympy, name)(inside.expression), value)
    raise InputError(
        f"{_show(node)} is not part of a formula; known are the coordinates {', '.join(coordinates)}, numbers, "
        f"{', '.join(CONSTANTS)}, + - * / ** and, of one argument, {', '.join(_CALLABLE)}"
    )


def _part(expression: sympy.Expr, value: float | None) -> _Part:
    return _Part(expression, float(expression) if expression.is_Rational else value)


def _combined(operation: Callable[[Any, Any], Any], left: _Part, right: _Part, node: ast.expr) -> _Part:
    if operation is operator.pow:
        _check_power(left.expression, right.expression, node)
    if operation is operator.truediv and right.value == 0:
        raise InputError(f"{_show(node)} divides by zero; change the denominator")
    value = None
    if left.value is not None and right.value is not None:
        try:
            value = (
                math.pow(left.value, right.value) if operation is operator.pow else operation(left.value, right.value)
            )
        except (OverflowError, ValueError):
            value = math.nan
        _check_finite(value, node)
    result = _part(operation(left.expression, right.expression), value)
    if left.value and right.value and not result.expression.is_Rational and operation in (operator.add, operator.sub):
        assert result.value is not None
        if abs(result.value) < _LEAST_REMAINDER * max(abs(left.value), abs(right.value)):
            raise InputError(f"{_show(node)} is a difference of almost equal constants; write its value as a number")
    return result


def _check_power(base: sympy.Expr, exponent: sympy.Expr, node: ast.expr) -> None:
    if exponent.is_Rational and (
        abs(exponent) > _LARGEST_EXPONENT or _bits(base) * abs(exponent) > _MOST_BITS_OF_A_POWER
    ):
        raise InputError(
            f"{_show(node)} has an exponent that is too large; at most {_LARGEST_EXPONENT} is read, and numbers of "
            f"{_MOST_BITS_OF_A_POWER} bits"
        )


def _check_finite(value: float, node: ast.expr) -> None:
    if not math.isfinite(value):
        raise InputError(f"{_show(node)} is not a finite real number; change it")


def _bits(expression: sympy.Expr) -> int:
    """Of the largest integer in an expression."""
    numbers = expression.atoms(sympy.Rational)
    return max((max(abs(n.p).bit_length(), n.q.bit_length()) for n in numbers), default=0)


def _show(node: ast.expr) -> str:
    return _shortened(ast.unparse(node))


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
