"""The loop over chunks of paths: moved, looked at, and counted in cells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ....ground.errors import InputError
from ..kernels.stepper import Stepper
from ..problems.state import Start
from ..statistics.merge_tree import MergeTree
from ..statistics.observables import Recorder
from ..statistics.observed import CellStatistics
from .cells import CELL, Cells

__all__ = ["Ensemble", "Kept", "chunk_width"]


@dataclass
class Kept:
    """What there is so far of consecutive paths.

    Attributes:
        first: number of the first path, which begins a cell.
        end: number after the last.
        final: states at the end, shape ``(end - first, d)``; None if they are not kept.
        trajectories: of the first paths, shape ``(k, times, d)``.
        tree: statistics of complete cells.
    """

    first: int
    end: int
    final: Tensor | None = None
    trajectories: Tensor | None = None
    tree: MergeTree[CellStatistics] = field(default_factory=MergeTree)

    @property
    def done(self) -> int:
        """Number of the first path that is missing: what the tree holds says it, and nothing else could differ."""
        return min(self.end, self.first + CELL * len(self.tree))


@dataclass(frozen=True)
class Ensemble:
    """What all chunks have in common.

    Attributes:
        stepper: moves states.
        start: where paths begin.
        recorder: what is observed.
        looks: numbers of steps after which, from 0 on.
        times: when that is.
    """

    stepper: Stepper
    start: Start
    recorder: Recorder
    looks: list[int]
    times: list[float]

    @torch.no_grad()  # a network's weights ask for gradients, and every step would be kept for them
    def run(self, kept: Kept, width: int, after: Callable[[int], None]) -> None:
        """Move the paths that are missing.

        Args:
            kept: what is there; more is put in.
            width: paths that are moved together.
            after: called after each look with the number of path-steps since the one before.

        Raises:
            InputError: paths that leave the finite numbers; what is complete before is kept.
        """

        def complete(cell: int, values: Mapping[str, Tensor]) -> None:
            rows = {name: each.permute(2, 0, 1) for name, each in values.items()}
            kept.tree.add(cell, self.recorder.of_cell(rows, first=cell * CELL))

        first, end, done = kept.first, kept.end, kept.done
        cells = Cells(done, end, complete)
        for begin in range(done, end, width):
            count = min(width, end - begin)
            path = torch.arange(begin, begin + width, device=self.start.points.device)
            states, values = self._chunk(path, count, kept, after)
            if kept.final is not None:
                kept.final[begin - first : begin - first + count] = self.start.seen(states[:, :count].T)
            cells.add(values)
            after(0)

    def _chunk(
        self, path: Tensor, count: int, kept: Kept, after: Callable[[int], None]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """States at the end, shape ``(d, n)``, and values at all looks, shapes ``(times, p, count)``."""
        begin = int(path[0])
        states = self.start.of_paths(begin, len(path))
        values = {
            name: torch.empty(len(self.looks), size, count, dtype=states.dtype)
            for name, size in self.recorder.sizes.items()
        }
        for k, step in enumerate(self.looks):
            if k:
                before = self.looks[k - 1]
                states = self.stepper.advance(before, step - before, path, states)
                self._refuse_explosion(states[:, :count], begin, begin - kept.first, k)
                after(count * (step - before))
            rows = self.start.seen(states.T)
            for name, found in self.recorder.observe(rows).items():
                values[name][k] = found[:count].T
            if kept.trajectories is not None and begin < len(kept.trajectories):
                shown = kept.trajectories[begin : begin + count, k]
                shown[:] = rows[: len(shown)]
        return states, values

    def _refuse_explosion(self, states: Tensor, begin: int, before: int, k: int) -> None:
        if bool(states.isfinite().all()):
            return
        lost = ~states.isfinite().all(0)
        number, count = int(lost.sum()), before + len(lost)
        path = begin + int(lost.nonzero()[0])
        raise InputError(
            f"{number} of {count} paths so far ({100 * number / count:.2g} %) left the finite numbers between t = "
            f"{self.times[k - 1]:g} and {self.times[k]:g}, the first is path {path}; a mean over the others would be "
            "wrong: take smaller steps, or a drift that holds paths back"
        )


def chunk_width(paths: int, chunk: int, lanes: int) -> int:
    """Paths of a chunk, about ``chunk``: all chunks the same, so that one kernel serves them, and none nearly empty.

    Rounded up to five leading bits, so that runs of other sizes find the kernel that was compiled for this one, and to
    a multiple of ``lanes``: among so many, bits of a path do not depend on the others.
    """
    count = max(1, -(-paths // chunk))
    each = max(1, -(-paths // count))
    unit = max(lanes, 1 << max(0, each.bit_length() - 5))
    return -(-each // unit) * unit
