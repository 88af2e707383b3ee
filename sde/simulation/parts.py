"""Several processes, each with a part of the paths (``torch.distributed``)."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as processes

from .cells import CELL
from .ensemble import Kept
from .statistics.merge_tree import MergeTree
from .statistics.observed import CellStatistics

__all__ = ["Part", "gather", "part_of"]


@dataclass(frozen=True)
class Part:
    """Paths of one process.

    Attributes:
        rank: of the process.
        world: how many there are.
        first: number of its first path, which begins a cell.
        end: number after its last.
        share: about so many paths each process has.
    """

    rank: int
    world: int
    first: int
    end: int
    share: int

    def __str__(self) -> str:
        return f"paths {self.first} to {self.end}"

    def folder(self, checkpoint: Path) -> Path:
        """Of this process's files."""
        return checkpoint / f"part-{self.rank}" if self.world > 1 else checkpoint


def part_of(paths: int) -> Part:
    """The part of this process: all paths, unless ``torch.distributed`` was started.

    Example:
        >>> part_of(10_000)
        Part(rank=0, world=1, first=0, end=10000, share=10000)
    """
    started = processes.is_available() and processes.is_initialized()
    rank, world = (processes.get_rank(), processes.get_world_size()) if started else (0, 1)
    first, end = _bounds(paths, rank, world)
    return Part(rank, world, first, end, -(-paths // world))


def _bounds(paths: int, rank: int, world: int) -> tuple[int, int]:
    cells = -(-paths // CELL)
    return CELL * (cells * rank // world), min(paths, CELL * (cells * (rank + 1) // world))


def gather(kept: Kept, part: Part, paths: int) -> None:
    """Give every process what all have."""
    if part.world == 1:
        return
    every: list[object] = [None] * part.world
    processes.all_gather_object(every, kept.tree.to_arrays())
    kept.tree = MergeTree()
    for arrays in every:
        kept.tree.merge(MergeTree.from_arrays(arrays, CellStatistics.from_arrays))  # type: ignore[arg-type]
    if kept.trajectories is not None:  # each path was moved by one process and is 0 elsewhere
        processes.all_reduce(kept.trajectories)
    if kept.final is not None:
        whole = kept.final.new_empty(paths, kept.final.shape[1])
        whole[part.first : part.end] = kept.final
        for rank in range(part.world):
            first, end = _bounds(paths, rank, part.world)
            if end > first:
                processes.broadcast(whole[first:end], src=rank)
        kept.final = whole
    torch.distributed.barrier()
