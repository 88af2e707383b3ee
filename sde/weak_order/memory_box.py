"""Where the fast memory of a recursion stays on a torus, and whether the torus serves the recursion at all."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...ground.errors import InputError
from ..rules.leaves import POSITION
from ..rules.recursion import Recursion
from .memory_grid import Interval
from .torus_grid import TorusGrid

__all__ = ["MEAN", "MemoryBox", "check_step_periodic", "memory_box"]

Step = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""From blocks ``(P, d)`` to blocks ``(P, outcomes, d)``."""

MEAN = 1
"""The number of the start that is the mean of memory."""

_MOST_ROUNDS = 10_000
_ROOM = 0.02  # of its length, more on each side than is reached: step sizes move where memory goes a little
_PERIODIC = 1e-9
_POINTS = {1: 61, 2: 31}  # per axis


class MemoryBox(NamedTuple):
    """Intervals of all blocks of memory, and memory to start from.

    Attributes:
        intervals: one per block.
        starts: zero, the mean of the invariant law at some position, and an edge: shape ``(3, blocks)``; shape ``(1,
            0)`` without memory.
    """

    intervals: Sequence[Interval]
    starts: Tensor


def memory_box(recursion: Recursion, fast: Sequence[str], dim: int, steps: Sequence[Step]) -> MemoryBox:
    """What memory reaches from 0, whatever the position.

    Args:
        recursion: for messages.
        fast: blocks of memory, of one component each.
        dim: of the position.
        steps: a step at each extreme of step size and time.

    Raises:
        InputError: memory that grows without end.
    """
    if not fast:
        return MemoryBox([], torch.empty(1, 0, dtype=torch.float64))
    x = TorusGrid(dim, _POINTS[dim]).points
    low = high = torch.zeros(len(fast), dtype=torch.float64)
    for _ in range(_MOST_ROUNDS):
        corners = torch.cartesian_prod(*torch.stack([low, (low + high) / 2, high]).mT).reshape(-1, len(fast))
        blocks = {POSITION: x.repeat_interleave(len(corners), 0)}
        blocks |= {name: corners[:, i : i + 1].repeat(len(x), 1) for i, name in enumerate(fast)}
        moved = [torch.stack([step(blocks)[name].flatten() for name in fast], 1) for step in steps]
        reached = torch.cat([*moved, low[None], high[None]])
        before, low, high = (low, high), reached.amin(0), reached.amax(0)
        grown = torch.maximum(before[0] - low, high - before[1])
        if not bool(grown.isfinite().all()):
            break
        if bool((grown <= 1e-4 * (high - low)).all()):
            room = _ROOM * (high - low) + 1e-9
            low, high = low - room, high + room
            mean = torch.zeros(len(fast), dtype=torch.float64)
            for _ in range(_MOST_ROUNDS):
                blocks = {POSITION: x} | {name: mean[i].expand(len(x), 1) for i, name in enumerate(fast)}
                moved_mean = torch.stack([steps[0](blocks)[name].mean() for name in fast])
                if float((moved_mean - mean).abs().max()) <= 1e-6 * float((high - low).max()):
                    break
                mean = moved_mean
            edge = torch.where(high.abs() > low.abs(), high, low)
            intervals = [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
            return MemoryBox(intervals, torch.stack([torch.zeros_like(mean), mean, edge]))
    raise InputError(
        f"recursion '{recursion.name}': its memory {', '.join(fast)} is not bounded on the torus; use verify_one_step, "
        "or verify_moments on a quadratic"
    )


def check_step_periodic(recursion: Recursion, dim: int, step: Step) -> None:
    """Refuse a step that is not the same ``2 pi`` further on.

    Raises:
        InputError: decay and averages of positions are the usual reasons.
    """
    x = TorusGrid(dim, 5).points + 0.1
    memory = {name: torch.full_like(x, 0.3) for name in recursion.blocks if name != POSITION}
    here = step({POSITION: x, **memory})
    for axis in range(dim):
        shift = 2 * torch.pi * torch.eye(dim, dtype=x.dtype)[axis]
        there = step({POSITION: x + shift, **memory})
        for name, value in here.items():
            expected = value + shift if name == POSITION else value
            if not float((there[name] - expected).abs().max()) <= _PERIODIC * max(1.0, float(value.abs().max())):
                raise InputError(
                    f"recursion '{recursion.name}' is not periodic: from a point that is 2 pi further its step gives "
                    f"another {name} (decay and averages of positions do); use verify_moments on a quadratic, or "
                    "verify_one_step"
                )
