"""Functions of a position on the torus and of bounded memory, by values on a grid, and a recursion's operator on them.

Positions are trigonometric, on an equispaced grid, as in :mod:`.torus_grid`; each block of memory, of one component,
is polynomial, on the Chebyshev nodes of an interval that it cannot leave. Rows of a grid: positions first, the last
block of memory varying fastest.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .torus_grid import TorusGrid

__all__ = ["Interval", "MemoryGrid", "polynomial_weights"]


class Interval(NamedTuple):
    """Where a block of memory stays."""

    low: float
    high: float

    def nodes(self, count: int) -> Tensor:
        """Chebyshev points, both ends among them; the middle if there is one."""
        if count == 1:
            return torch.tensor([(self.low + self.high) / 2], dtype=torch.float64)
        angle = torch.pi * torch.arange(count, dtype=torch.float64) / (count - 1)
        return (self.low + self.high) / 2 - (self.high - self.low) / 2 * angle.cos()


class MemoryGrid:
    """A grid of positions and memory.

    Args:
        dim: of the position.
        resolution: odd number of points per axis of the position.
        intervals: of each block of memory.
        nodes: of each interval.

    Example:
        >>> import torch
        >>> import math
        >>> grid = MemoryGrid(1, 5, [Interval(-1.0, 3.0)], 3)
        >>> values = grid.x[:, 0].sin() * grid.memory[:, 0] ** 2
        >>> there = torch.tensor([[0.3]]).double(), torch.tensor([[2.0]]).double()
        >>> print(round((grid.weights(*there) @ values).item(), 6), round(4 * math.sin(0.3), 6))
        1.182081 1.182081
    """

    def __init__(self, dim: int, resolution: int, intervals: Sequence[Interval], nodes: int) -> None:
        self.positions = TorusGrid(dim, resolution)
        self.axes = [interval.nodes(nodes) for interval in intervals]
        count = len(self.positions.points)
        every = torch.cartesian_prod(torch.arange(count), *(torch.arange(len(axis)) for axis in self.axes))
        every = every.reshape(-1, 1 + len(self.axes))
        self.x = self.positions.points[every[:, 0]]
        """Positions of all rows, shape ``(rows, d)``."""
        self.memory = (
            torch.stack([axis[i] for axis, i in zip(self.axes, every[:, 1:].unbind(1), strict=True)], 1)
            if (self.axes)
            else self.x.new_empty(len(self.x), 0)
        )
        """Memory of all rows, shape ``(rows, blocks)``."""

    def __len__(self) -> int:
        return len(self.x)

    def weights(self, x: Tensor, memory: Tensor) -> Tensor:
        """Interpolation at points ``(P, d)`` with memory ``(P, blocks)``: shape ``(P, rows)``."""
        factors = [_trigonometric(self.positions.axis, column) for column in x.unbind(1)]
        factors += [polynomial_weights(axis, column) for axis, column in zip(self.axes, memory.unbind(1), strict=True)]
        result = factors[0]
        for factor in factors[1:]:
            result = (result[:, :, None] * factor[:, None]).flatten(1)
        return result


def _trigonometric(axis: Tensor, points: Tensor) -> Tensor:
    """The Dirichlet kernel, shape ``(P, n)``."""
    n = len(axis)
    angle = torch.remainder(points[:, None] - axis + torch.pi, 2 * torch.pi) - torch.pi
    return torch.where(angle == 0, 1.0, torch.sin(n * angle / 2) / (n * torch.sin(angle / 2)))


def polynomial_weights(axis: Tensor, points: Tensor) -> Tensor:
    """Interpolation from Chebyshev points, ``(n,)``, to others, ``(P,)``, by the barycentric formula: ``(P, n)``."""
    n = len(axis)
    if n == 1:
        return torch.ones(len(points), 1, dtype=axis.dtype)
    signs = 1 - 2 * (torch.arange(n, dtype=axis.dtype) % 2)
    signs[[0, -1]] /= 2
    gap = points[:, None] - axis
    hit = gap == 0
    terms = torch.where(hit.any(1, keepdim=True), hit.to(axis), signs / torch.where(hit, math.inf, gap))
    return terms / terms.sum(1, keepdim=True)
