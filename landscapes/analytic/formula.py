"""Any analytic landscape: one sympy formula per minibatch."""

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy
import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape

__all__ = ["CONSTANTS", "FUNCTIONS", "FormulaLandscape", "compile_torch", "decimal", "is_coordinate_name"]


def _on_numbers_too(function: Callable[[Tensor], Tensor]) -> Callable[[Any], Tensor]:
    """Constants such as ``sqrt(2)`` stay in a compiled formula as functions of plain numbers."""
    return lambda x: function(x if isinstance(x, Tensor) else torch.tensor(float(x), dtype=torch.float64))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    name: _on_numbers_too(getattr(torch, name))
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sqrt", "sign", "erf", "atan", "asinh")
} | {"Abs": _on_numbers_too(torch.abs), "signum": _on_numbers_too(torch.sign)}
"""What a formula may contain besides arithmetic, and its meaning in torch."""

CONSTANTS: Mapping[str, sympy.NumberSymbol] = {"pi": sympy.pi, "E": sympy.E}
"""Numbers that have a name in the text of a formula."""

_LARGEST_INTEGER = 2**53  # beyond, a float does not hold every one; torch takes integers below 2^63 only


def compile_torch(arguments: Sequence[sympy.Symbol], expressions: Any) -> Callable[..., Any]:
    """A function of tensors that computes common sub-expressions once and supports automatic differentiation."""
    signum = sympy.Function("signum")  # sympy prints its own sign as a comparison, which a tensor cannot decide
    # Names that no function has; declared real, since sympy searches long for what it may assume of complex ones.
    renamed = {symbol: sympy.Symbol(f"argument{i}", real=True) for i, symbol in enumerate(arguments)}
    prepared = []
    for expression in expressions:
        large = {n: sympy.Float(n, 17) for n in expression.atoms(sympy.Integer) if abs(n) > _LARGEST_INTEGER}
        prepared.append(expression.xreplace({**renamed, **large}).replace(sympy.sign, signum))
    result: Callable[..., Any] = sympy.lambdify(list(renamed.values()), prepared, modules=[dict(FUNCTIONS)], cse=True)
    return result


def decimal(value: float) -> sympy.Rational:
    """The rational number that Python prints for a float: 1.2 is 6/5.

    Example:
        >>> decimal(1.2)
        6/5
    """
    return sympy.Rational(str(float(value)))


def is_coordinate_name(name: str) -> bool:
    """Whether a coordinate of this name can be written in the text of a formula.

    Example:
        >>> [is_coordinate_name(name) for name in ("x1", "sin", "lambda", "x_{1}")]
        [True, False, False, False]
    """
    known = name in FUNCTIONS or name in CONSTANTS
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not known


class FormulaLandscape(Landscape):
    """``f_m`` given by sympy expressions; derivatives by automatic differentiation, exact ones by :meth:`formulas`.

    Args:
        symbols: the coordinates ``x_1, ..., x_d``.
        losses: one expression per minibatch, in these symbols; floats in them become the decimals that Python prints.

    Raises:
        InputError: no expression, another symbol in one, or a function that has no counterpart in torch.

    Example:
        >>> import sympy, torch
        >>> from eigensam.landscapes import FormulaLandscape
        >>> x, y = sympy.symbols("x y")
        >>> f = FormulaLandscape([x, y], [(1 - x) ** 2 + 100 * (y - x**2) ** 2])
        >>> f.gradient(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
        [-2.0, 200.0]
    """

    def __init__(self, symbols: Sequence[sympy.Symbol], losses: Sequence[sympy.Expr]) -> None:
        self.symbols = tuple(symbols)
        if not self.symbols or not losses or len(set(self.symbols)) < len(self.symbols):
            raise InputError("a formula landscape needs at least one symbol, each once, and one formula")
        self._formulas = [_checked(loss, self.symbols) for loss in losses]
        self._compiled = [compile_torch(self.symbols, [formula]) for formula in self._formulas]
        super().__init__(len(self.symbols), len(self._formulas), torch.float64, torch.device("cpu"))

    def formulas(self, x: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
        """The minibatches' formulas in the given symbols."""
        names = dict(zip(self.symbols, x, strict=True))
        return [formula.xreplace(names) for formula in self._formulas]

    def to_dict(self) -> dict[str, object]:
        """The JSON object that :func:`read_landscape` reads, if the formulas keep within its limits.

        Coordinates whose names text cannot hold become x1, x2, ...; other constants than pi and E are not read back.
        """
        names = [symbol.name for symbol in self.symbols]
        if len(set(names)) < len(names) or not all(map(is_coordinate_name, names)):
            names = [f"x{i}" for i in range(1, self.dim + 1)]
        losses = self.formulas([sympy.Symbol(name, real=True) for name in names])
        return {"kind": "formula", "coordinates": names, "losses": [sympy.sstr(loss) for loss in losses]}

    def _losses(self, x: Tensor) -> Tensor:
        points = x.unbind(-2)
        values = [loss(*point.unbind(-1))[0] for loss, point in zip(self._compiled, points, strict=True)]
        return torch.stack([v + 0 * point[..., 0] for v, point in zip(values, points, strict=True)], -1)


def _checked(loss: Any, symbols: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """The formula with decimals for floats; text is not evaluated."""
    if isinstance(loss, int | float):
        loss = sympy.Number(loss)
    if not isinstance(loss, sympy.Expr) or not all(isinstance(symbol, sympy.Symbol) for symbol in symbols):
        raise InputError(f"found the formula {loss!r} in {symbols}; expected a sympy expression in sympy symbols")
    formula = loss.xreplace({number: decimal(number) for number in loss.atoms(sympy.Float) if number.is_finite})
    if unknown := formula.free_symbols - set(symbols):
        raise InputError(
            f"the formula {formula} contains {', '.join(sorted(map(str, unknown)))}; its coordinates are "
            f"{', '.join(map(str, symbols))}, with the same assumptions: substitute numbers for the rest"
        )
    for node in sympy.preorder_traversal(formula):
        arithmetic = isinstance(node, sympy.Add | sympy.Mul | sympy.Pow | sympy.Symbol | sympy.NumberSymbol)
        finite = isinstance(node, sympy.Rational)
        if not (arithmetic or finite or type(node).__name__ in FUNCTIONS):
            raise InputError(
                f"the formula {formula} contains {node}; known are finite real numbers, arithmetic and "
                f"{', '.join(sorted(FUNCTIONS.keys() - {'signum'}))}"
            )
    return formula
