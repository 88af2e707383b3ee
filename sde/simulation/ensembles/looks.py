"""When an ensemble is looked at, and what is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ....ground.errors import InputError
from ..given_numbers import whole_number
from ..statistics.observables import Observable

__all__ = ["Record", "looks_of"]

_LOOKS = 50  # ours: points of a curve


@dataclass(frozen=True)
class Record:
    """What is kept of an ensemble, whose paths are never all in memory.

    Args:
        every: steps between two looks; the start and the end are looked at in any case. None: about 50 looks.
        observables: whose statistics are kept, see :class:`Observable`.
        trajectories: of the first so many paths, or of all if there are fewer, the states at every look are kept.
        final: whether the states of all paths at the end are.

    Raises:
        InputError: numbers out of range, something that is no list of observables.

    Example:
        >>> Record(every=10, trajectories=20).final
        True
    """

    every: int | None = None
    observables: Sequence[Observable] = (Observable(),)
    trajectories: int = 0
    final: bool = True

    def __post_init__(self) -> None:
        if self.every is not None:
            object.__setattr__(self, "every", whole_number("every", self.every, 1))
        object.__setattr__(self, "trajectories", whole_number("trajectories", self.trajectories, 0))
        given = self.observables
        if not isinstance(given, Sequence) or not all(isinstance(each, Observable) for each in given):
            raise InputError(f"observables are {given!r}; give a list, such as [Observable(alpha=0.01)]")


def looks_of(record: Record, steps: int, group_steps: int) -> list[int]:
    """Numbers of steps after which states are looked at, from 0 to ``steps``.

    Where it is left to us, looks lie between groups of steps, which one call of a kernel takes.

    Example:
        >>> looks_of(Record(every=4), 10, 2), len(looks_of(Record(), 1000, 8))
        ([0, 4, 8, 10], 43)
    """
    every = record.every
    if every is None:
        every = -(-steps // _LOOKS)
        every = -(-every // group_steps) * group_steps if every >= group_steps else every
    return [*range(0, steps, every), steps]
