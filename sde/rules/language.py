"""The language of update rules: vectors and scalars made of gradients at shifted points.

A rule steps ``x+ = x - eta * step``; the step is an expression made by the functions of this module. :func:`grad`,
:func:`hvp`, :func:`loss` belong to the minibatch of the step, :func:`mean` averages over all minibatches. Sums,
multiples by scalars, and quotients are written with Python's operators (:mod:`.nodes`).
"""

from __future__ import annotations

from typing import Any, TypeVar

from ...ground.errors import InputError
from .leaves import Scheduled, State
from .nodes import (
    Derivative,
    Direction,
    Expression,
    Inner,
    Loss,
    Norm,
    Parameter,
    Scalar,
    ScalarMean,
    Sign,
    Vector,
    VectorMean,
    as_expression,
)

__all__ = [
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
    "schedule",
    "sign",
    "state",
    "unit",
]

E = TypeVar("E", bound=Expression)


def grad(shift: Vector | None = None, *, draw: str = "") -> Vector:
    """``grad f_m(x + shift)``, the gradient of the step's minibatch, or of another one that the step draws.

    Args:
        shift: from the point; None: none.
        draw: a label; gradients with the same label are of one minibatch, those with different ones of several.

    Example:
        >>> from eigensam.sde.rules import grad, norm, rho
        >>> g = grad()
        >>> print(grad(rho * g / norm(g)))
        grad(rho*g/norm(g))
    """
    return Derivative(None if shift is None else _vector(shift, "grad(shift)"), (), _label(draw))


def hvp(vector: Vector, at: Vector | None = None, *, draw: str = "") -> Vector:
    """``H_m(x + at) vector``, a Hessian-vector product of the step's minibatch."""
    return derivative(vector, at=at, draw=draw)


def derivative(*vectors: Vector, at: Vector | None = None, draw: str = "") -> Vector:
    """``grad^{k+1} f_m(x + at)[v_1, ..., v_k, .]``: one vector gives :func:`hvp`, two the third derivative."""
    arguments = tuple(_vector(v, "derivative") for v in vectors)
    return Derivative(None if at is None else _vector(at, "derivative(at=...)"), arguments, _label(draw))


def loss(shift: Vector | None = None, *, draw: str = "") -> Scalar:
    """``f_m(x + shift)``, the loss of the step's minibatch."""
    return Loss(None if shift is None else _vector(shift, "loss(shift)"), _label(draw))


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
    value = as_expression(expression)
    result: Any = VectorMean(value) if isinstance(value, Vector) else ScalarMean(value)
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


def state(name: str) -> Vector:
    """A block of a recursion's state, such as a momentum buffer: its value so far in the step; ``x`` is the point.

    Raises:
        InputError: the name is not an identifier, or taken by the notation, as ``g``, ``H`` and ``E`` are.
    """
    return State(name)


def schedule(name: str) -> Scalar:
    """A positive number that changes with time, such as a learning rate's schedule; see :class:`.recursion.Recursion`.

    Raises:
        InputError: the name is not an identifier, or taken by the notation.
    """
    return Scheduled(name)


rho = parameter("rho")
alpha = parameter("alpha")
eta = parameter("eta")


def _label(draw: Any) -> str:
    if not isinstance(draw, str) or (draw and not (draw.isalnum() and draw.isascii())):
        raise InputError(f"the label {draw!r} of a draw is not made of letters and digits; give e.g. draw='ascent'")
    return draw


def _vector(value: Any, where: str) -> Vector:
    if not isinstance(value, Vector):
        raise InputError(f"{where} needs a vector such as grad(); found {value if value is not None else 'nothing'}")
    return value


def _scalar(value: Any, where: str) -> Scalar:
    value = as_expression(value)
    if not isinstance(value, Scalar):
        raise InputError(f"{where} needs a scalar; found the vector {value}")
    return value
