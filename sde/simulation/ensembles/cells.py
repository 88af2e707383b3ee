"""Values of consecutive paths, dealt into cells of a fixed number of paths, so that chunks do not matter."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["CELL", "Cells"]

CELL = 4096
"""Paths of a cell: ours; its values at all looks fit a processor's cache."""


class Cells:
    """Collects values of paths until a cell of them is complete.

    Args:
        first: number of the first path, which begins a cell.
        end: number after the last; the last cell may be smaller.
        complete: called with the number of each cell and its values.

    Example:
        >>> cells = Cells(0, 4097, lambda cell, values: print(cell, values["x"].shape))
        >>> for first in (0, 2048, 4096):
        ...     cells.add({"x": torch.zeros(3, 1, min(2048, 4097 - first))})
        0 torch.Size([3, 1, 4096])
        1 torch.Size([3, 1, 1])
    """

    def __init__(self, first: int, end: int, complete: Callable[[int, Mapping[str, Tensor]], None]) -> None:
        self._next, self._end, self._complete = first, end, complete
        self._parts: list[Mapping[str, Tensor]] = []

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Values of the next paths, by name, shapes ``(times, p, n)``."""
        count, used = next(iter(values.values())).shape[-1], 0
        while used < count:
            cell = self._next // CELL
            taken = min(count - used, (cell + 1) * CELL - self._next, self._end - self._next)
            self._parts.append({name: each[..., used : used + taken] for name, each in values.items()})
            used, self._next = used + taken, self._next + taken
            if self._next % CELL == 0 or self._next == self._end:
                parts, self._parts = self._parts, []
                whole = parts[0] if len(parts) == 1 else {n: torch.cat([p[n] for p in parts], -1) for n in parts[0]}
                self._complete(cell, whole)
