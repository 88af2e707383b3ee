"""The language of update rules: vectors and scalars made of gradients at shifted points.

A rule steps ``x+ = x - eta * direction``; the direction is an expression of this module. :func:`grad`, :func:`hvp`,
:func:`loss` belong to the minibatch of the step, :func:`mean` averages over all minibatches. Sums, multiples by
scalars, and quotients are written with Python's operators; numbers are exact (``int``, ``Fraction``), never floats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from numbers import Rational
from typing import Any, TypeVar

from ...ground.errors import InputError
from .names import check_name

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
    "Sign",
    "Vector",
    "alpha",
    "derivative",
    "direction",
    "eta",
    "grad",
    "hvp",
    "inner",
    "loss",
    "mean",
    "norm",
    "parameter",
    "rho",
    "sign",
    "unit",
    "walk",
    "written_size",
]


_LARGEST_EXPONENT, _LARGEST_BITS = 99, 1000


@dataclass(frozen=True)
class Expression:
    """A node of a rule's expression; see :class:`Vector` and :class:`Scalar`."""

    __array_ufunc__ = None  # numpy leaves arithmetic with its scalars to this class

    def __str__(self) -> str:
        from .formulas import formula

        return formula(self)

    def __neg__(self) -> Any:
        return _product(self, -1)

    def __add__(self, other: Any) -> Any:
        return _sum(self, other)

    def __radd__(self, other: Any) -> Any:
        return _sum(self, other, swap=True)

    def __sub__(self, other: Any) -> Any:
        return _sum(self, -_expression(other))

    def __rsub__(self, other: Any) -> Any:
        return _sum(-self, other, swap=True)

    def __mul__(self, other: Any) -> Any:  # a scalar times a vector is a vector
        return _product(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _product(self, other)

    def __truediv__(self, other: Any) -> Any:
        divisor = _expression(other)
        if isinstance(divisor, Vector):
            raise InputError(f"division by the vector {divisor}; divide by its norm, or use unit(a) = a/norm(a)")
        if divisor == Number(Fraction(0)):
            raise InputError(f"division of {self} by 0")
        return _product(self, _power(divisor, Fraction(-1)))

    def __rtruediv__(self, other: Any) -> Any:
        return _expression(other) / self


E = TypeVar("E", bound=Expression)


class Vector(Expression):
    """An expression with values in the space of ``x``: add vectors, multiply and divide by scalars."""

    def __pow__(self, exponent: Any) -> Vector:
        raise InputError(f"a power of the vector {self}; use inner(a, a) or norm(a)")


class Scalar(Expression):
    """An expression with values in the real numbers."""

    def __pow__(self, exponent: Any) -> Scalar:
        q = _expression(exponent)
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


@dataclass(frozen=True)
class Number(Scalar):
    """A rational number."""

    value: Fraction

    def __post_init__(self) -> None:
        if max(self.value.numerator.bit_length(), self.value.denominator.bit_length()) > _LARGEST_BITS:
            raise InputError("a number of more than 300 digits; use a parameter instead, parameter('tau')")


@dataclass(frozen=True)
class Parameter(Scalar):
    """A positive parameter such as ``rho`` or ``alpha``."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "parameter")


@dataclass(frozen=True)
class Direction(Vector):
    """A unit vector that does not depend on ``x``, such as a frozen estimate of an eigenvector."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, "direction")


@dataclass(frozen=True)
class Derivative(Vector):
    """``grad^{k+1} f_m(x + shift)[arguments, .]``, the minibatch's gradient for no argument."""

    shift: Vector | None
    arguments: tuple[Vector, ...] = ()


@dataclass(frozen=True)
class Loss(Scalar):
    """``f_m(x + shift)``."""

    shift: Vector | None


@dataclass(frozen=True)
class Inner(Scalar):
    """``<left, right>``."""

    left: Vector
    right: Vector


@dataclass(frozen=True)
class Norm(Scalar):
    """``|vector|``."""

    vector: Vector


@dataclass(frozen=True)
class Sign(Scalar):
    """The sign of a scalar; the rule is smooth only where that does not vanish."""

    scalar: Scalar


@dataclass(frozen=True)
class Power(Scalar):
    """``base^exponent`` for a rational exponent."""

    base: Scalar
    exponent: Fraction


@dataclass(frozen=True)
class _Compound(Expression):
    parts: tuple[Expression, ...]


class Add(_Compound):
    """A sum of vectors or of scalars."""


class Multiply(_Compound):
    """A product of scalars, the last of which may be a vector."""


@dataclass(frozen=True)
class Mean(Expression):
    """The average over all minibatches."""

    of: Expression


class _VectorAdd(Add, Vector):
    pass


class _ScalarAdd(Add, Scalar):
    pass


class _VectorMultiply(Multiply, Vector):
    pass


class _ScalarMultiply(Multiply, Scalar):
    pass


class _VectorMean(Mean, Vector):
    pass


class _ScalarMean(Mean, Scalar):
    pass


def _expression(value: Any) -> Any:
    if isinstance(value, Expression):
        return value
    if isinstance(value, Rational) and not isinstance(value, bool):
        return Number(Fraction(int(value.numerator), int(value.denominator)))
    if isinstance(value, float):
        exact = f"write Fraction({str(value)!r}), or a parameter" if math.isfinite(value) else "give a finite number"
        raise InputError(f"the float {value} is not exact; {exact}")
    raise InputError(f"found {value!r} of type {type(value).__name__}; expected an expression, an int or a Fraction")


def _vector(value: Any, where: str) -> Vector:
    if not isinstance(value, Vector):
        raise InputError(f"{where} needs a vector such as grad(); found {value if value is not None else 'nothing'}")
    return value


def _scalar(value: Any, where: str) -> Scalar:
    value = _expression(value)
    if not isinstance(value, Scalar):
        raise InputError(f"{where} needs a scalar; found the vector {value}")
    return value


def _sum(left: Any, right: Any, swap: bool = False) -> Any:
    right = _expression(right)
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
    left, right = left, _expression(right)
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


def grad(shift: Vector | None = None) -> Vector:
    """``grad f_m(x + shift)``, the gradient of the step's minibatch.

    Example:
        >>> from eigensam.sde.rules import grad, norm, rho
        >>> g = grad()
        >>> print(grad(rho * g / norm(g)))
        grad(rho*g/norm(g))
    """
    return Derivative(None if shift is None else _vector(shift, "grad(shift)"))


def hvp(vector: Vector, at: Vector | None = None) -> Vector:
    """``H_m(x + at) vector``, a Hessian-vector product of the step's minibatch."""
    return derivative(vector, at=at)


def derivative(*vectors: Vector, at: Vector | None = None) -> Vector:
    """``grad^{k+1} f_m(x + at)[v_1, ..., v_k, .]``: one vector gives :func:`hvp`, two the third derivative."""
    arguments = tuple(_vector(v, "derivative") for v in vectors)
    return Derivative(None if at is None else _vector(at, "derivative(at=...)"), arguments)


def loss(shift: Vector | None = None) -> Scalar:
    """``f_m(x + shift)``, the loss of the step's minibatch."""
    return Loss(None if shift is None else _vector(shift, "loss(shift)"))


def inner(left: Vector, right: Vector) -> Scalar:
    """``<left, right>``."""
    return Inner(_vector(left, "inner"), _vector(right, "inner"))


def norm(vector: Vector) -> Scalar:
    """``|vector|``, the Euclidean norm."""
    return Norm(_vector(vector, "norm"))


def unit(vector: Vector) -> Vector:
    """``vector / |vector|``."""
    result: Vector = vector / norm(vector)
    return result


def sign(scalar: Scalar) -> Scalar:
    """``sign(scalar)``: -1, 0 or 1."""
    return Sign(_scalar(scalar, "sign"))


def mean(expression: E) -> E:
    """``E`` over all minibatches, of a vector or a scalar.

    Example:
        >>> from eigensam.sde.rules import grad, mean, norm, rho
        >>> print(grad(rho * grad() / norm(mean(grad()))))  # DNSAM
        grad(rho*g/norm(E[g]))
    """
    value = _expression(expression)
    result: Any = _VectorMean(value) if isinstance(value, Vector) else _ScalarMean(value)
    return result  # type: ignore[no-any-return]


def direction(name: str) -> Vector:
    """A unit vector that is constant in ``x``: a frozen eigenvector estimate, for example.

    Raises:
        InputError: the name is not an identifier, or taken by the notation, as ``g``, ``H``, ``E`` and ``x`` are.
    """
    return Direction(name)


def parameter(name: str) -> Scalar:
    """A positive parameter of the rule, bound to a number when the rule is evaluated.

    Raises:
        InputError: the name is not an identifier, or taken by the notation, as ``g``, ``H``, ``E`` and ``x`` are.
    """
    return Parameter(name)


rho = parameter("rho")
alpha = parameter("alpha")
eta = parameter("eta")


def walk(expression: Expression) -> list[Expression]:
    """Every node of an expression once, the root first; a part that occurs in several places is one node."""
    result: dict[int, Expression] = {}
    stack = [expression]
    while stack:
        node = stack.pop()
        if id(node) in result:
            continue
        result[id(node)] = node
        stack += _parts(node)
    return list(result.values())


def written_size(expression: Expression) -> tuple[int, int]:
    """How many parts it has when written out, shared ones as often as they occur, and how deep they are nested.

    Example:
        >>> written_size(inner(grad(), grad()))
        (3, 2)
    """
    known: dict[int, tuple[int, int]] = {}
    stack = [expression]
    while stack:
        parts = _parts(stack[-1])
        if missing := [part for part in parts if id(part) not in known]:
            stack += missing
            continue
        sizes = [known[id(part)] for part in parts]
        known[id(stack.pop())] = (1 + sum(size for size, _ in sizes), 1 + max((depth for _, depth in sizes), default=0))
    return known[id(expression)]


def _parts(node: Expression) -> list[Expression]:
    values = [getattr(node, field.name) for field in fields(node)]
    each = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
    return [part for part in each if isinstance(part, Expression)]
