"""Expressions of a rule: vectors and scalars, their arithmetic, and how each kind of node is written.

Sums, multiples by scalars, and quotients are written with Python's operators; numbers are exact (``int``,
``Fraction``), never floats. A node writes itself in a :class:`.style.Style`; its ``str`` is the language, which can be
read back. The functions that make nodes: :mod:`.language`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

from ...ground.errors import InputError
from .latex_styles import RULE_LATEX
from .names import check_name
from .plain_styles import PYTHON
from .style import Style, joined, signed

__all__ = [
    "Add",
    "Derivative",
    "Direction",
    "Expression",
    "Inner",
    "Loss",
    "Mean",
    "Multiply",
    "Norm",
    "Number",
    "Parameter",
    "Power",
    "Scalar",
    "ScalarMean",
    "Sign",
    "Vector",
    "VectorMean",
    "as_expression",
]


_LARGEST_EXPONENT, _LARGEST_BITS = 99, 1000


@dataclass(frozen=True, repr=False)
class Expression:
    """A node of a rule's expression; see :class:`Vector` and :class:`Scalar`."""

    __array_ufunc__ = None  # numpy leaves arithmetic with its scalars to this class

    def written(self, style: Style) -> str:
        r"""Write the expression in a style.

        Example:
            >>> from eigensam.sde.rules import grad, norm, rho
            >>> from eigensam.sde.rules.latex_styles import RULE_LATEX
            >>> from eigensam.sde.rules.plain_styles import UNICODE
            >>> rule = grad(rho * grad() / norm(grad()))
            >>> print(rule.written(UNICODE))
            ∇f_γ(x + ρ g/‖g‖)
            >>> print(rule.written(RULE_LATEX))
            \nabla f_\gamma\left(x + \frac{\rho g}{\lVert g\rVert}\right)
        """
        return self._written(style)

    def _written(self, style: Style) -> str:
        raise TypeError(f"{type(self).__name__} has no formula")

    @property
    def _compound(self) -> bool:
        """Whether it is written in brackets where it is raised to a power or divided by."""
        return False

    def __str__(self) -> str:
        return self.written(PYTHON)

    def __repr__(self) -> str:
        return str(self)

    def _repr_latex_(self) -> str:
        return f"${self.written(RULE_LATEX)}$"

    def __neg__(self) -> Any:
        return _product(self, -1)

    def __add__(self, other: Any) -> Any:
        return _sum(self, other)

    def __radd__(self, other: Any) -> Any:
        return _sum(self, other, swap=True)

    def __sub__(self, other: Any) -> Any:
        return _sum(self, -as_expression(other))

    def __rsub__(self, other: Any) -> Any:
        return _sum(-self, other, swap=True)

    def __mul__(self, other: Any) -> Any:  # a scalar times a vector is a vector
        return _product(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _product(self, other)

    def __truediv__(self, other: Any) -> Any:
        divisor = as_expression(other)
        if isinstance(divisor, Vector):
            raise InputError(f"division by the vector {divisor}; divide by its norm, or use unit(a) = a/norm(a)")
        if divisor == Number(Fraction(0)):
            raise InputError(f"division of {self} by 0")
        return _product(self, _power(divisor, Fraction(-1)))

    def __rtruediv__(self, other: Any) -> Any:
        return as_expression(other) / self


class Vector(Expression):
    """An expression with values in the space of ``x``: add vectors, multiply and divide by scalars."""

    def __pow__(self, exponent: Any) -> Vector:
        raise InputError(f"a power of the vector {self}; use inner(a, a) or norm(a)")


class Scalar(Expression):
    """An expression with values in the real numbers."""

    def __pow__(self, exponent: Any) -> Scalar:
        q = as_expression(exponent)
        if not isinstance(q, Number):
            raise InputError(f"the exponent {q} is not a rational number; give an int or a Fraction")
        return _power(self, q.value)


def _power(base: Scalar, exponent: Fraction) -> Scalar:
    """``base^exponent``, a whole power of a product or of a power being one of its parts."""
    _check_exponent(exponent)
    if exponent.denominator == 1:
        if isinstance(base, Power):
            _check_exponent(base.exponent * exponent)
        if isinstance(base, Number) and (exponent >= 0 or base.value != 0):
            return Number(base.value ** int(exponent))
        if isinstance(base, Power) and (
            (base.exponent * exponent).denominator == base.exponent.denominator or isinstance(base.base, Parameter)
        ):
            return Power(base.base, base.exponent * exponent)
        if isinstance(base, Multiply):
            product: Scalar = Number(Fraction(1))
            for part in base.parts:
                product = product * _power(part, exponent)  # type: ignore[arg-type]  # a scalar's parts are scalars
            return product
    return Power(base, exponent)


def _check_exponent(exponent: Fraction) -> None:
    if abs(exponent.numerator) > _LARGEST_EXPONENT or exponent.denominator > _LARGEST_EXPONENT:
        raise InputError(
            f"the exponent {exponent} is too large; give one whose numerator and denominator are at most "
            f"{_LARGEST_EXPONENT}"
        )


@dataclass(frozen=True, repr=False)
class Number(Scalar):
    """A rational number."""

    value: Fraction

    def __post_init__(self) -> None:
        if max(self.value.numerator.bit_length(), self.value.denominator.bit_length()) > _LARGEST_BITS:
            raise InputError("a number of more than 300 digits; use a parameter instead, parameter('tau')")

    def _written(self, style: Style) -> str:
        return style.rational(self.value)

    @property
    def _compound(self) -> bool:
        return self.value.denominator > 1 or self.value < 0


@dataclass(frozen=True, repr=False)
class Parameter(Scalar):
    """A positive parameter such as ``rho`` or ``alpha``."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "parameter")

    def _written(self, style: Style) -> str:
        return style.parameter(self.name)


@dataclass(frozen=True, repr=False)
class Direction(Vector):
    """A unit vector that does not depend on ``x``, such as a frozen estimate of an eigenvector."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "direction")

    def _written(self, style: Style) -> str:
        return style.direction(self.name)


@dataclass(frozen=True, repr=False)
class Derivative(Vector):
    """``grad^{k+1} f_m(x + shift)[arguments, .]``, the minibatch's gradient for no argument."""

    shift: Vector | None
    arguments: tuple[Vector, ...] = ()
    draw: str = ""

    def _written(self, style: Style) -> str:
        return style.derivative_at(_at(self.shift, style), [a.written(style) for a in self.arguments], self.draw)


@dataclass(frozen=True, repr=False)
class Loss(Scalar):
    """``f_m(x + shift)``."""

    shift: Vector | None
    draw: str = ""

    def _written(self, style: Style) -> str:
        return style.loss_at(_at(self.shift, style), self.draw)


@dataclass(frozen=True, repr=False)
class Inner(Scalar):
    """``<left, right>``."""

    left: Vector
    right: Vector

    def _written(self, style: Style) -> str:
        return style.inner(self.left.written(style), self.right.written(style))


@dataclass(frozen=True, repr=False)
class Norm(Scalar):
    """``|vector|``."""

    vector: Vector

    def _written(self, style: Style) -> str:
        return style.norm(self.vector.written(style))


@dataclass(frozen=True, repr=False)
class Sign(Scalar):
    """The sign of a scalar; the rule is smooth only where that does not vanish."""

    scalar: Scalar

    def _written(self, style: Style) -> str:
        return style.sign(self.scalar.written(style))


@dataclass(frozen=True, repr=False)
class Power(Scalar):
    """``base^exponent`` for a rational exponent."""

    base: Scalar
    exponent: Fraction

    def _written(self, style: Style) -> str:
        return style.power(self.base.written(style), self.exponent, self.base._compound)

    @property
    def _compound(self) -> bool:
        return True


@dataclass(frozen=True, repr=False)
class _Parts(Expression):
    parts: tuple[Expression, ...]

    @property
    def _compound(self) -> bool:
        return True


class Add(_Parts):
    """A sum of vectors or of scalars."""

    def _written(self, style: Style) -> str:
        return joined([signed(part.written(style)) for part in self.parts])


class Multiply(_Parts):
    """A product of scalars, the last of which may be a vector."""

    def _written(self, style: Style) -> str:
        first, rest = self.parts[0], self.parts[1:]
        number = first.value if isinstance(first, Number) else Fraction(1)
        above: list[str] = []
        below: list[tuple[str, bool]] = []
        for part in rest if isinstance(first, Number) else self.parts:
            if isinstance(part, Power) and part.exponent == -1:
                below.append((part.base.written(style), part.base._compound))
            elif isinstance(part, Power) and part.exponent < 0:
                below.append((Power(part.base, -part.exponent).written(style), False))
            else:
                shown = part.written(style)
                above.append(style.brackets(shown) if isinstance(part, Add) else shown)
        return ("-" if number < 0 else "") + style.product(abs(number), above, below)


@dataclass(frozen=True, repr=False)
class Mean(Expression):
    """The average over all minibatches."""

    of: Expression

    def _written(self, style: Style) -> str:
        return style.mean(self.of.written(style))


class _VectorAdd(Add, Vector):
    pass


class _ScalarAdd(Add, Scalar):
    pass


class _VectorMultiply(Multiply, Vector):
    pass


class _ScalarMultiply(Multiply, Scalar):
    pass


class VectorMean(Mean, Vector):
    """The average of a vector."""


class ScalarMean(Mean, Scalar):
    """The average of a scalar."""


def as_expression(value: Any) -> Any:
    """Read a rational number as an expression; what is one already stays.

    Raises:
        InputError: a float, or anything else.
    """
    if isinstance(value, Expression):
        return value
    if isinstance(value, Rational) and not isinstance(value, bool):
        return Number(Fraction(int(value.numerator), int(value.denominator)))
    if isinstance(value, float):
        exact = f"write Fraction({str(value)!r}), or a parameter" if math.isfinite(value) else "give a finite number"
        raise InputError(f"the float {value} is not exact; {exact}")
    raise InputError(f"found {value!r} of type {type(value).__name__}; expected an expression, an int or a Fraction")


def _at(shift: Expression | None, style: Style) -> str | None:
    return None if shift is None else shift.written(style)


def _sum(left: Any, right: Any, swap: bool = False) -> Any:
    right = as_expression(right)
    zero = Number(Fraction(0))
    if left == zero or right == zero:
        return right if left == zero else left
    if isinstance(left, Vector) != isinstance(right, Vector):
        raise InputError(f"a vector plus a scalar: {left} and {right}")
    if isinstance(left, Number) and isinstance(right, Number):
        return Number(left.value + right.value)
    left, right = (right, left) if swap else (left, right)
    parts = [part for side in (left, right) for part in (side.parts if isinstance(side, Add) else (side,))]
    return (_VectorAdd if isinstance(left, Vector) else _ScalarAdd)(tuple(parts))


def _product(left: Any, right: Any) -> Any:
    left, right = left, as_expression(right)
    if isinstance(left, Vector) and isinstance(right, Vector):
        raise InputError(f"a product of the vectors {left} and {right}; use inner(a, b)")
    parts = [part for side in (left, right) for part in (side.parts if isinstance(side, Multiply) else (side,))]
    number = Fraction(1)
    for part in parts:
        number *= part.value if isinstance(part, Number) else 1
    rest = [part for part in parts if not isinstance(part, Number)]
    rest.sort(key=lambda part: isinstance(part, Vector))
    if number != 1 or not rest:
        rest.insert(0, Number(number))
    if len(rest) == 1:
        return rest[0]
    return (_VectorMultiply if isinstance(rest[-1], Vector) else _ScalarMultiply)(tuple(rest))
