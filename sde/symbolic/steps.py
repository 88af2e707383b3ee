"""A rule's exact step on a landscape: its expression, evaluated without any expansion."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...landscapes import Landscape
from .bindings import Values
from .language import (
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

__all__ = ["evaluate"]


def evaluate(expression: Expression, landscape: Landscape, x: Tensor, values: Values) -> Tensor:
    """A rule's expression at points of shape ``(..., 1, d)``.

    Returns:
        Vectors of shape ``(..., M, d)``, scalars of shape ``(..., M)``; 1 for M where nothing depends on a minibatch.
    """
    known: dict[int, Tensor] = {}

    def of(node: Expression) -> Tensor:
        if id(node) not in known:
            known[id(node)] = _evaluated(node, landscape, x, values, of)
        return known[id(node)]

    result = of(expression)
    known.clear()  # the function refers to itself: without this, its tensors would wait for the garbage collector
    return result


def _evaluated(
    node: Expression, landscape: Landscape, x: Tensor, values: Values, of: Callable[[Expression], Tensor]
) -> Tensor:
    match node:
        case Number(value):
            return x.new_tensor([float(value)])
        case Parameter(name):
            return x.new_tensor([values[name]])
        case Direction(name):
            vector = values[name]
            assert isinstance(vector, Tensor)
            return vector[None]
        case Derivative(shift, arguments):
            at = x if shift is None else x + of(shift)
            return landscape.contracted_gradients(at, [(1.0, [of(a) for a in arguments])])
        case Loss(shift):
            return landscape.losses(x if shift is None else x + of(shift))
        case Inner(left, right):
            return (of(left) * of(right)).sum(-1)
        case Norm(vector):
            length: Tensor = torch.linalg.vector_norm(of(vector), dim=-1)
            return length
        case Sign(scalar):
            return of(scalar).sign()
        case Power(base, exponent):
            return of(base) ** float(exponent)
        case Mean(inside):
            return of(inside).mean(-2 if isinstance(node, Vector) else -1, keepdim=True)
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
