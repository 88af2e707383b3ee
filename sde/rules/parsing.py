"""Rules typed on a command line: an expression of the language as text, read without evaluating Python."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from ...ground.errors import InputError
from ...ground.exact_numbers import literal_number
from . import language
from .names import KNOWN, check_name
from .nodes import Expression, Number

__all__ = ["parse"]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(language, name)
    for name in ("grad", "hvp", "derivative", "loss", "inner", "norm", "unit", "mean", "sign", "parameter", "direction")
} | {"E": language.mean}
_NAMES = {"g": language.grad()} | {name: _FUNCTIONS[kind](name) for name, kind in KNOWN.items()}

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_LONGEST = 5_000  # characters; ours, far beyond what a person writes

_MEANT = {
    "x": "the point itself is part of statements only: a rule is what is subtracted, made of gradients; for weight "
    "decay write the step as statements, x = x - eta*(g + x/1000), or add a multiple of |x|^2 to each loss of the "
    "landscape",
    "t": "time is part of the formulas of schedules only: write a name, such as s, in statements, and give it "
    "--schedule s='(1 + cos(pi*t))/2', or schedules={'s': Schedule('(1 + cos(pi*t))/2')} in Python",
    **dict.fromkeys(
        ("state", "schedule"),
        "statements have names of their own: m = 9/10*m + g; x = x - eta*s*m has the state m, and the schedule s if it "
        "is given a formula, --schedule s='(1 + cos(pi*t))/2'",
    ),
    "draw": "it is an argument: grad(draw='a'), grad(rho*g, draw='b') are gradients of further minibatches",
    "H": "write hvp(a) for the Hessian times a vector a",
    "T": "write derivative(a, b) for the third derivative applied to vectors a and b",
    "f": "write loss() for the minibatch's loss, or E[loss()] for the mean loss",
    "E": "write E[a] for the expectation of a",
    "e": "write a number such as 2.718281828 or parameter('e')",
    "i": "numbers are real; write parameter('i') for a number, or direction('i') for a frozen unit vector",
}


def parse(text: str, names: Mapping[str, Expression] | None = None) -> Any:
    """Read an expression such as ``grad(rho*g/norm(g))``; ``g`` is ``grad()``, ``v`` a frozen unit direction.

    Decimals are exact: ``0.1`` is 1/10.

    Args:
        text: the expression.
        names: what further names stand for.

    Raises:
        InputError: not an expression of the language; the message names the part that is not.

    Example:
        >>> from eigensam.sde.rules.parsing import parse
        >>> print(parse("grad(rho*g/norm(E[g]))"))
        grad(rho*g/norm(E[g]))
    """
    if not isinstance(text, str):
        raise InputError(f"found {text!r} of type {type(text).__name__}; expected a rule as text: 'grad(rho*unit(g))'")
    source, shown = text.strip(), f"'{text.strip()[:80]}'"
    if len(source) > _LONGEST:
        raise InputError(f"{shown} ... has {len(source)} characters, at most {_LONGEST} are read; write it in Python")
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{shown} is not an expression: {error.args[0] if error.args else 'too long'}") from None
    try:
        return _read(tree.body, source, {**_NAMES, **(names or {})})
    except RecursionError:
        raise InputError(f"{shown} ... is nested too deeply; name its parts in Python, and add them up there") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{shown}: {error}") from None


def _read(node: ast.AST, source: str, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
            return Number(literal_number(node, source))
        case ast.Constant(str(value)):
            return value
        case ast.Name(name) if name in names:
            return names[name]
        case ast.Name(name):
            raise InputError(f"unbound symbol '{name}'; {_meant(name)}")
        case ast.UnaryOp(ast.USub(), operand):
            return -_operand(operand, source, names)
        case ast.UnaryOp(ast.UAdd(), operand):
            return _operand(operand, source, names)
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)](_operand(left, source, names), _operand(right, source, names))
        case ast.Call(ast.Name(name), arguments, keywords) if name in _FUNCTIONS and all(k.arg for k in keywords):
            named = {k.arg: _read(k.value, source, names) for k in keywords if k.arg}
            return _FUNCTIONS[name](*(_read(a, source, names) for a in arguments), **named)
        case ast.Subscript(ast.Name("E"), inside):
            return language.mean(_read(inside, source, names))
    raise InputError(f"'{ast.unparse(node)[:80]}' is not part of the language of rules")


def _operand(node: ast.expr, source: str, names: Mapping[str, Any]) -> Any:
    """Of an operator: a vector or a scalar, not the name of one."""
    value = _read(node, source, names)
    if isinstance(value, str):
        raise InputError(f"found '{value}' of type str; write it without quotation marks")
    return value


def _meant(name: str) -> str:
    """What to write instead of a name that is not known; each text that it shows is part of the language."""
    if name in _MEANT:
        return _MEANT[name]
    if name in _FUNCTIONS:
        return f"it is a function: write {name}(...)"
    known = f"known are {', '.join(_NAMES)} and the functions {', '.join(_FUNCTIONS)}"
    kinds = {"parameter": "a positive number", "direction": "a frozen unit vector"}
    fitting = []
    for kind, meaning in kinds.items():
        try:
            check_name(name, kind)
        except InputError:
            continue
        fitting.append(f"{kind}('{name}') for {meaning}")
    if not fitting:
        return f"{known}; choose another name, e.g. parameter('tau') for a number"
    return f"{known}; write {' or '.join(fitting)} (in statements, a schedule has a formula: --schedule {name}=...)"
