"""A rule's exact step on a landscape: its expression, evaluated without any expansion, in torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bindings import Values
from .interpretation import interpret
from .nodes import Expression

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["evaluate"]


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
        return vector[None] if vector.ndim == 1 else vector

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
    """Evaluate a rule's expression at points of shape ``(..., 1, d)``, in torch.

    Returns:
        Vectors of shape ``(..., M, d)``, scalars of shape ``(..., M)``; 1 for M where nothing depends on a minibatch.
    """
    result: Tensor = interpret(expression, x, _TorchNumbers(landscape, x, values))
    return result
