"""A state as a structure of named blocks, and as one vector."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from ....ground.errors import InputError

__all__ = ["Start", "State", "spread_rows", "start_of"]

_ROWS = 4  # ours: coordinates whose extremes are looked at, so that a check of many paths costs little

State = Tensor | Mapping[str, Tensor]
"""Positions alone, or blocks by name: their last axes together are the state's ``d`` components."""


@dataclass(frozen=True)
class Start:
    """Where paths begin.

    Attributes:
        points: ``(d,)``, one for all paths, or ``(paths, d)``.
        blocks: names and sizes of the parts of a state; empty if it is positions alone.
        memory: how many of the last components are a chain's memory, which nothing observes.
    """

    points: Tensor
    blocks: tuple[tuple[str, int], ...] = ()
    memory: int = 0

    @property
    def dim(self) -> int:
        """``d``, with memory."""
        return int(self.points.shape[-1])

    def with_memory(self, memory: Sequence[float]) -> Self:
        """The same with a memory behind each point."""
        more = self.points.new_tensor(memory).expand(*self.points.shape[:-1], -1)
        return replace(self, points=torch.cat([self.points, more], -1), memory=len(memory))

    def seen(self, flat: Tensor) -> Tensor:
        """A tensor of shape ``(..., d)`` without memory; one that has none stays as it is."""
        return flat[..., : self.dim - self.memory]

    @property
    def first(self) -> Tensor:
        """Start of path 0, shape ``(d,)``."""
        return self.points if self.points.ndim == 1 else self.points[0]

    def rows(self) -> dict[int, Tensor]:
        """Different starts by number of the path: the first, the last and those that are extreme in a coordinate, at
        most a few; each of shape ``(d,)``, in memory of its own: a derivative at a view takes room for all of its base.
        """
        return {number: self.points.reshape(-1, self.dim)[number].clone() for number in spread_rows(self.points)}

    def of_paths(self, first: int, count: int) -> Tensor:
        """Starts of consecutive paths, shape ``(d, count)``; beyond the last path that of the last."""
        if self.points.ndim == 1:
            return self.points[:, None].repeat(1, count)
        numbers = torch.arange(first, first + count, device=self.points.device).clamp(max=len(self.points) - 1)
        return self.points[numbers].T.contiguous()

    def structured(self, flat: Tensor) -> Any:
        """A tensor of shape ``(..., d)`` without memory, or its blocks by name."""
        flat = self.seen(flat)
        if not self.blocks:
            return flat
        names, sizes = zip(*self.blocks, strict=True)
        return dict(zip(names, flat.split(list(sizes), dim=-1), strict=True))


def spread_rows(points: Tensor) -> list[int]:
    """Numbers of rows of ``(d,)`` or ``(n, d)`` that lie far apart: first, last, largest and smallest by coordinate.

    Example:
        >>> spread_rows(torch.tensor([[0.0], [7.0], [-2.0], [1.0]])), spread_rows(torch.tensor([0.0]))
        ([0, 3, 1, 2], [0])
    """
    rows = points.reshape(-1, points.shape[-1])
    some = rows[:, :_ROWS]
    extremes = [*some.argmax(0).tolist(), *some.argmin(0).tolist()]
    return list(dict.fromkeys([0, len(rows) - 1, *extremes]))


def start_of(x0: Any, paths: int) -> Start:
    """Read where paths begin.

    Args:
        x0: a tensor of shape ``(d,)`` or ``(paths, d)``, or such tensors by name.
        paths: how many there will be.

    Raises:
        InputError: other types or shapes, numbers that are not float32 or float64, or not finite.

    Example:
        >>> start = start_of({"x": torch.zeros(2), "m": torch.ones(1)}, paths=5)
        >>> start.points.tolist(), start.blocks
        ([0.0, 0.0, 1.0], (('x', 2), ('m', 1)))
    """
    if isinstance(x0, Mapping):
        if any(isinstance(part, Mapping) for part in x0.values()):
            raise InputError("a block of the start holds blocks itself; give one dictionary of tensors")
        if not x0 or not all(isinstance(name, str) and name.isidentifier() for name in x0):
            raise InputError(f"blocks of the start are named {list(x0)}; give names such as 'x' and 'm'")
        parts = {name: start_of(part, paths).points for name, part in x0.items()}
        if len({(part.dtype, part.device) for part in parts.values()}) > 1:
            raise InputError("blocks of the start differ in type or device; give all of them the same")
        rows = [part.expand(paths, -1) if any(p.ndim == 2 for p in parts.values()) else part for part in parts.values()]
        return Start(torch.cat(rows, -1), tuple((name, int(part.shape[-1])) for name, part in parts.items()))
    if not isinstance(x0, Tensor):
        raise InputError(f"the start is of type {type(x0).__name__}; give a tensor, such as torch.tensor([0.5, 1.0])")
    if x0.layout is not torch.strided or x0.is_meta:
        kind = "has no numbers (its device is meta)" if x0.is_meta else f"is stored as {x0.layout}"
        raise InputError(f"the start {kind}; give a dense tensor that holds numbers")
    if x0.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"the start has numbers of type {x0.dtype}; give float32 or float64, which all paths will have"
        )
    if x0.ndim not in (1, 2) or math.prod(x0.shape) == 0 or (x0.ndim == 2 and len(x0) != paths):
        raise InputError(f"the start has shape {tuple(x0.shape)}; expected (d,) or ({paths}, d), one row for each path")
    if not bool(x0.isfinite().all()):
        raise InputError("the start holds numbers that are not finite; start somewhere else")
    return Start(x0.detach())
