"""A rule's exact step on a landscape: its expression, evaluated without any expansion, in any kind of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from .bindings import Values
from .nodes import (
    Add,
    Derivative,
    Direction,
    Expression,
    Inner,
    Loss,
    Mean,
    Multiply,
    Norm,
    Number,
    Parameter,
    Power,
    Sign,
    Vector,
)

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["Numbers", "evaluate", "interpret"]


class Numbers(Protocol):
    """Arrays of one kind and what arithmetic does not do on them.

    Vectors have shape ``(..., M, d)``, scalars ``(..., M)``; 1 for M where nothing depends on a minibatch.
    """

    def number(self, value: Fraction) -> Any:
        """A constant, shape ``(1,)``."""

    def parameter(self, name: str) -> Any:
        """The value of ``rho`` or another parameter, shape ``(1,)``."""

    def direction(self, name: str) -> Any:
        """A frozen unit vector, shape ``(1, d)``."""

    def gradients(self, x: Any, directions: Sequence[Any]) -> Any:
        """``grad^{k+1} f_m(x)[a_1, ..., a_k, .]``."""

    def losses(self, x: Any) -> Any:
        """``f_m(x)``."""

    def norm(self, vector: Any) -> Any:
        """Euclidean, over the last axis."""

    def sign(self, scalar: Any) -> Any:
        """-1, 0 or 1."""

    def power(self, base: Any, exponent: Fraction) -> Any:
        """NaN where it is not real."""

    def mean(self, values: Any, axis: int) -> Any:
        """Over minibatches, which stay an axis of length 1."""


def interpret(expression: Expression, x: Any, numbers: Numbers) -> Any:
    """The value of an expression at points ``x`` of shape ``(..., 1, d)``; equal parts are computed once."""
    known: dict[int, Any] = {}

    def of(node: Expression) -> Any:
        if id(node) not in known:
            known[id(node)] = value(node)
        return known[id(node)]

    def value(node: Expression) -> Any:
        match node:
            case Number(constant):
                return numbers.number(constant)
            case Parameter(name):
                return numbers.parameter(name)
            case Direction(name):
                return numbers.direction(name)
            case Derivative(shift, arguments):
                return numbers.gradients(x if shift is None else x + of(shift), [of(a) for a in arguments])
            case Loss(shift):
                return numbers.losses(x if shift is None else x + of(shift))
            case Inner(left, right):
                return (of(left) * of(right)).sum(-1)
            case Norm(vector):
                return numbers.norm(of(vector))
            case Sign(scalar):
                return numbers.sign(of(scalar))
            case Power(base, exponent):
                return numbers.power(of(base), exponent)
            case Mean(inside):
                return numbers.mean(of(inside), -2 if isinstance(node, Vector) else -1)
            case Add(parts):
                total = of(parts[0])
                for part in parts[1:]:
                    total = total + of(part)
                return total
            case Multiply(parts):
                product = of(parts[-1])
                for part in reversed(parts[:-1]):
                    factor = of(part)
                    product = (factor[..., None] if isinstance(parts[-1], Vector) else factor) * product
                return product
        raise TypeError(f"{type(node).__name__} has no value")

    result = of(expression)
    known.clear()  # the functions refer to each other: without this, arrays would wait for the garbage collector
    return result


@dataclass(frozen=True)
class _TorchNumbers:
    """Tensors of the type of ``x``."""

    landscape: "Landscape"
    x: Tensor
    values: Values

    def number(self, value: Fraction) -> Tensor:
        return self.x.new_tensor([float(value)])

    def parameter(self, name: str) -> Tensor:
        return self.x.new_tensor([self.values[name]])

    def direction(self, name: str) -> Tensor:
        vector = self.values[name]
        assert isinstance(vector, Tensor)
        return vector[None]

    def gradients(self, x: Tensor, directions: Sequence[Tensor]) -> Tensor:
        return self.landscape.contracted_gradients(x, [(1.0, directions)])

    def losses(self, x: Tensor) -> Tensor:
        return self.landscape.losses(x)

    def norm(self, vector: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(vector, dim=-1)
        return length

    def sign(self, scalar: Tensor) -> Tensor:
        return scalar.sign()

    def power(self, base: Tensor, exponent: Fraction) -> Tensor:
        return base ** float(exponent)

    def mean(self, values: Tensor, axis: int) -> Tensor:
        return values.mean(axis, keepdim=True)


def evaluate(expression: Expression, landscape: "Landscape", x: Tensor, values: Values) -> Tensor:
    """A rule's expression at points of shape ``(..., 1, d)``, in torch.

    Returns:
        Vectors of shape ``(..., M, d)``, scalars of shape ``(..., M)``; 1 for M where nothing depends on a minibatch.
    """
    result: Tensor = interpret(expression, x, _TorchNumbers(landscape, x, values))
    return result
