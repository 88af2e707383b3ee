"""Rules typed on a command line: an expression of the language as text, read without evaluating Python."""

import ast
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from ...landscapes import InputError
from . import language

__all__ = ["parse"]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(language, name)
    for name in ("grad", "hvp", "derivative", "loss", "inner", "norm", "unit", "mean", "sign", "parameter", "direction")
} | {"E": language.mean}
_NAMES = {
    "g": language.grad(),
    "v": language.direction("v"),
    "rho": language.rho,
    "alpha": language.alpha,
    "eta": language.eta,
}

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def parse(text: str) -> Any:
    """Read an expression such as ``grad(rho*g/norm(g))``; ``g`` is ``grad()``, ``v`` a frozen unit direction.

    Raises:
        InputError: not an expression of the language; the message names the part that is not.

    Example:
        >>> from eigensam.sde.symbolic.parsing import parse
        >>> print(parse("grad(rho*g/norm(E[g]))"))
        grad(rho*g/norm(E[g]))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"'{text[:80]}' is not an expression: {error.args[0] if error.args else 'too long'}") from None
    try:
        return _read(tree.body)
    except RecursionError:
        raise InputError(f"'{text[:80]} ...' is nested too deeply; write it in Python") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"'{text[:80]}': {error}") from None


def _read(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
            return language.Number(Fraction(str(value)))  # the decimal that was typed
        case ast.Constant(str(value)):
            return value
        case ast.Name(name) if name in _NAMES:
            return _NAMES[name]
        case ast.Name(name):
            raise InputError(
                f"unbound symbol '{name}'; known are {', '.join(_NAMES)} and the functions {', '.join(_FUNCTIONS)}; "
                f"write parameter('{name}') for a number or direction('{name}') for a frozen unit vector"
            )
        case ast.UnaryOp(ast.USub(), operand):
            return -_read(operand)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)](_read(left), _read(right))
        case ast.Call(ast.Name(name), arguments, keywords) if name in _FUNCTIONS and all(k.arg for k in keywords):
            named = {k.arg: _read(k.value) for k in keywords if k.arg}
            return _FUNCTIONS[name](*(_read(a) for a in arguments), **named)
        case ast.Subscript(ast.Name("E"), inside):
            return language.mean(_read(inside))
    raise InputError(f"'{ast.unparse(node)}' is not part of the language of rules")
