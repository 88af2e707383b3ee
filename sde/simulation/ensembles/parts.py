"""Several processes, each with a part of the paths (``torch.distributed``)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as processes

from ....ground.errors import InputError
from ....ground.identities import differences
from ..statistics.merge_tree import MergeTree
from ..statistics.observed import CellStatistics
from .cells import CELL
from .ensemble import Kept

__all__ = ["Part", "check_agreement", "failing_together", "gather", "part_of"]


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
        return checkpoint / f"part-{self.rank}"


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


def check_agreement(part: Part, identity: Mapping[str, str | int]) -> None:
    """Refuse processes that were asked for different runs, whose parts are of no whole.

    Raises:
        InputError: what differs from the first process.
    """
    if part.world == 1:
        return
    every: list[Any] = [None] * part.world
    processes.all_gather_object(every, {name: value for name, value in identity.items() if name != "part"})
    for rank, other in enumerate(every):
        if other != every[0]:
            raise InputError(
                f"process {rank} was asked for another run than process 0, which differs in "
                f"{differences(every[0], other)}; give all processes the same"
            )


@contextmanager
def failing_together(part: Part) -> Iterator[None]:
    """What one process refuses all refuse, who would wait for it else.

    Raises:
        InputError: the first process's that has one.
    """
    own: InputError | None = None
    try:
        yield
    except InputError as error:
        own = error
    if part.world > 1:
        every: list[str | None] = [None] * part.world
        processes.all_gather_object(every, None if own is None else str(own))
        first = next(((rank, text) for rank, text in enumerate(every) if text is not None), None)
        if first is not None and own is None:
            raise InputError(f"in process {first[0]}: {first[1]}")
    if own is not None:
        raise own


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
    processes.barrier()
