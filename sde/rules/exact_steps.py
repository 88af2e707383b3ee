"""A rule's exact step on a landscape: its expression, evaluated without any expansion, in torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .bindings import Values, bind
from .interpretation import interpret, interpret_each
from .leaves import POSITION
from .nodes import Expression
from .recursion import Recursion

if TYPE_CHECKING:
    from ...landscapes.landscape import Landscape

__all__ = ["TorchNumbers", "evaluate", "evaluate_blocks", "evaluate_in_state", "recursion_step", "spread_blocks"]


@dataclass(frozen=True)
class TorchNumbers:
    """Tensors of the type of ``x``."""

    landscape: "Landscape"
    x: Tensor
    values: Values
    draws: Sequence[str] = ("",)
    blocks: Mapping[str, Tensor] = field(default_factory=dict)

    def number(self, value: Fraction) -> Tensor:
        """A constant."""
        return self.x.new_tensor([float(value)])

    def parameter(self, name: str) -> Tensor:
        """Its value."""
        value = self.values[name]
        return value.reshape(1) if isinstance(value, Tensor) else self.x.new_tensor([value])

    scheduled = parameter

    def direction(self, name: str) -> Tensor:
        """As a row."""
        vector = self.values[name]
        assert isinstance(vector, Tensor)
        return vector[None] if vector.ndim == 1 else vector

    def state(self, name: str) -> Tensor:
        """As it was given."""
        return self.blocks[name]

    def gradients(self, x: Tensor, directions: Sequence[Tensor], draw: str) -> Tensor:
        """Of all minibatches, on the axis of the draw."""
        if len(self.draws) == 1:
            return self.landscape.contracted_gradients(x, [(1.0, directions)])
        axis = self._axis(draw)
        arguments = [self._last(a, axis - 1) for a in directions]
        return self.landscape.contracted_gradients(self._last(x, axis - 1), [(1.0, arguments)]).movedim(-2, axis - 1)

    def losses(self, x: Tensor, draw: str) -> Tensor:
        """Of all minibatches, on the axis of the draw."""
        if len(self.draws) == 1:
            return self.landscape.losses(x)
        axis = self._axis(draw)
        return self.landscape.losses(self._last(x, axis - 1)).movedim(-1, axis)

    def norm(self, vector: Tensor) -> Tensor:
        """Over the last axis."""
        length: Tensor = torch.linalg.vector_norm(vector, dim=-1)
        return length

    def sign(self, scalar: Tensor) -> Tensor:
        """Of each."""
        return scalar.sign()

    def power(self, base: Tensor, exponent: Fraction) -> Tensor:
        """Of each."""
        return base ** float(exponent)

    def mean(self, values: Tensor, last: int) -> Tensor:
        """Over the axes of all draws."""
        first = last - len(self.draws) + 1
        return values.mean(tuple(range(first, last + 1)), keepdim=True)

    def _axis(self, draw: str) -> int:
        """Of a scalar; a vector's is one before."""
        return self.draws.index(draw) - len(self.draws)

    def _last(self, vector: Tensor, axis: int) -> Tensor:
        """With the axis of a draw behind those of the others; a vector that no minibatch has touched lacks them."""
        while vector.ndim <= len(self.draws):
            vector = vector[None]
        return vector.movedim(axis, -2)


def evaluate(expression: Expression, landscape: "Landscape", x: Tensor, values: Values) -> Tensor:
    """Evaluate a rule's expression at points of shape ``(..., 1, d)``, in torch.

    Returns:
        Vectors of shape ``(..., M, d)``, scalars of shape ``(..., M)``; 1 for M where nothing depends on a minibatch.
    """
    result: Tensor = interpret(expression, x, TorchNumbers(landscape, x, values))
    return result


def evaluate_blocks(
    recursion: Recursion, landscape: "Landscape", blocks: Mapping[str, Tensor], values: Values
) -> dict[str, Tensor]:
    """Every block after one step, for every minibatch that the step may draw.

    Args:
        recursion: whose step.
        landscape: the family of losses.
        blocks: the state, each block of shape ``(..., 1, d)`` with an axis of length 1 for each of the step's draws.
        values: of ``rho``, ``eta``, parameters, directions and schedules: numbers, or tensors with one element.

    Returns:
        Shapes ``(..., M, d)``, with an axis of length ``M`` for each draw in the order of ``recursion.draws``.
    """
    x = blocks[POSITION]
    draws = recursion.draws or [""]
    numbers = TorchNumbers(landscape, x, values, draws, blocks)
    shape = (*x.shape[: -1 - len(draws)], *([landscape.size] * len(draws)), landscape.dim)
    after = interpret_each(list(recursion.new_values.values()), x, numbers)
    return {name: value.expand(shape) for name, value in zip(recursion.new_values, after, strict=True)}


def evaluate_in_state(
    expression: Expression,
    recursion: Recursion,
    landscape: "Landscape",
    blocks: Mapping[str, Tensor],
    values: Values,
) -> Tensor:
    """One expression in the blocks before a step; arguments as of :func:`evaluate_blocks`.

    Returns:
        Vectors of shape ``(..., M, d)``, scalars of shape ``(..., M)``; 1 for M where nothing depends on that draw.
    """
    x = blocks[POSITION]
    result: Tensor = interpret(expression, x, TorchNumbers(landscape, x, values, recursion.draws or [""], blocks))
    return result


def recursion_step(
    landscape: "Landscape",
    recursion: Recursion,
    blocks: Mapping[str, Tensor],
    eta: float,
    rho: float,
    values: Values | None = None,
    time: float = 0.0,
) -> dict[str, Tensor]:
    """One exact step from given blocks, for every minibatch that it may draw; see :func:`evaluate_blocks`.

    Args:
        landscape: the family of losses.
        recursion: whose step.
        blocks: the state, each block of shape ``(d,)`` or ``(..., 1, d)``.
        eta: learning rate.
        rho: perturbation radius.
        values: of parameters and directions.
        time: at which schedules are read.

    Raises:
        InputError: a symbol without a value.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde.rules.statements import parse_statements
        >>> momentum = Recursion("momentum", parse_statements("m = 9/10*m + g; x = x - eta*m"))
        >>> f, one = Quadratic([[2.0]], centres=[[0.0]]), torch.ones(1, dtype=torch.float64)
        >>> after = recursion_step(f, momentum, {"x": one, "m": one}, 0.1, 0.0)
        >>> {name: block.tolist() for name, block in after.items()}
        {'x': [[0.71]], 'm': [[2.9]]}
    """
    bound = {**bind(recursion, landscape, rho, values), "eta": float(eta)}
    bound |= {name: schedule(time) for name, schedule in recursion.schedules.items()}
    return evaluate_blocks(recursion, landscape, spread_blocks(recursion, blocks), bound)


def spread_blocks(recursion: Recursion, blocks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Blocks of shape ``(d,)`` or ``(..., 1, d)`` with an axis of length 1 for each of the step's draws."""
    draws = len(recursion.draws or [""])

    def spread(block: Tensor) -> Tensor:
        block = block[None] if block.ndim == 1 else block
        return block.reshape(*block.shape[:-1], *([1] * (draws - 1)), block.shape[-1])

    return {name: spread(block) for name, block in blocks.items()}
