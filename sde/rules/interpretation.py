"""The value of a rule's expression in any kind of numbers, without any expansion."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol

from .leaves import Scheduled, State
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

__all__ = ["Numbers", "interpret", "interpret_each"]


class Numbers(Protocol):
    """Arrays of one kind and what arithmetic does not do on them.

    Vectors have shape ``(..., M, d)``, scalars ``(..., M)``; 1 for M where nothing depends on a minibatch. A recursion
    that draws several minibatches in a step has one such axis for each, in the order of their labels.
    """

    def number(self, value: Fraction) -> Any:
        """A constant, shape ``(1,)``."""

    def parameter(self, name: str) -> Any:
        """The value of ``rho`` or another parameter, shape ``(1,)``."""

    def direction(self, name: str) -> Any:
        """A frozen unit vector, shape ``(1, d)``."""

    def gradients(self, x: Any, directions: Sequence[Any], draw: str) -> Any:
        """``grad^{k+1} f_m(x)[a_1, ..., a_k, .]`` of the minibatch with a label."""

    def losses(self, x: Any, draw: str) -> Any:
        """``f_m(x)`` of the minibatch with a label."""

    def state(self, name: str) -> Any:
        """A block of the state, shape ``(..., 1, d)``."""

    def scheduled(self, name: str) -> Any:
        """The present value of a schedule, shape ``(1,)``."""

    def norm(self, vector: Any) -> Any:
        """Euclidean, over the last axis."""

    def sign(self, scalar: Any) -> Any:
        """-1, 0 or 1."""

    def power(self, base: Any, exponent: Fraction) -> Any:
        """NaN where it is not real."""

    def mean(self, values: Any, last: int) -> Any:
        """Over the axes of all minibatches, the last of which is given; they stay axes of length 1."""


def interpret(expression: Expression, x: Any, numbers: Numbers) -> Any:
    """Compute the value of an expression at points ``x`` of shape ``(..., 1, d)``; equal parts are computed once."""
    return interpret_each([expression], x, numbers)[0]


def interpret_each(expressions: Sequence[Expression], x: Any, numbers: Numbers) -> list[Any]:
    """Several expressions, which share what they have in common."""
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
            case State(name):
                return numbers.state(name)
            case Scheduled(name):
                return numbers.scheduled(name)
            case Derivative(shift, arguments, draw):
                return numbers.gradients(x if shift is None else x + of(shift), [of(a) for a in arguments], draw)
            case Loss(shift, draw):
                return numbers.losses(x if shift is None else x + of(shift), draw)
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

    result = [of(expression) for expression in expressions]
    known.clear()  # the functions refer to each other: without this, arrays would wait for the garbage collector
    return result
