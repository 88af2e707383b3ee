"""Reduction over cells whose result does not depend on the order in which they come, to the last bit."""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any, Generic, Self, TypeVar

from numpy.typing import NDArray

from ....ground.errors import InputError
from .statistic import Arrays, Statistic, grouped, joined

__all__ = ["MergeTree"]

S = TypeVar("S", bound=Statistic)
_MOST_LEVELS = 62


class MergeTree(Generic[S]):
    """Cells 0, 1, ..., at the leaves of a binary tree: siblings ``(2 i, 2 i + 1)`` merge as soon as both are there.

    Node ``(level, i)`` is the statistic of the cells ``i 2^level ... (i + 1) 2^level - 1``, always made in one way. So
    the result is the same for the same cells, in whichever order they came, from however many processes, with or
    without a stop in between.

    Whoever adds consecutive cells keeps at most ``2 log2(cells)`` nodes; cells without their siblings stay.

    Example:
        >>> from eigensam.sde.simulation.statistics.moments import Moments
        >>> cells = [Moments.of([[1.0]]), Moments.of([[2.0]]), Moments.of([[6.0]])]
        >>> tree = MergeTree()
        >>> for i in (2, 0, 1):
        ...     tree.add(i, cells[i])
        >>> tree.result().mean.tolist(), len(tree), 3 in tree
        ([3.0], 3, False)
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[int, int], S] = {}

    def add(self, cell: int, statistic: S) -> None:
        """The statistic of a cell.

        Raises:
            InputError: a cell that is there already, or a negative one.
        """
        if cell < 0:
            raise InputError(f"cell {cell} does not exist; they are counted from 0")
        self._insert(0, cell, statistic)

    def merge(self, other: Self) -> None:
        """All cells of another process.

        Raises:
            InputError: a cell that both have; this tree is then as before.
        """
        for level, i in other._nodes:
            self._refuse_overlap(level, i)
        for (level, i), statistic in other._nodes.items():
            self._insert(level, i, statistic)

    def result(self) -> S:
        """Of all cells that are there: the nodes that are left, from the first cell on.

        Raises:
            InputError: no cell.
        """
        if not self._nodes:
            raise InputError("no cell has been added, so there is nothing to merge")
        return reduce(lambda left, right: left.merge(right), (self._nodes[node] for node in self._in_order()))

    def __contains__(self, cell: int) -> bool:
        """Whether a cell is there."""
        return any((level, cell >> level) in self._nodes for level in range(_MOST_LEVELS))

    def __len__(self) -> int:
        """How many cells are there."""
        return sum(1 << level for level, _ in self._nodes)

    def to_arrays(self) -> Arrays:
        """Exactly, as arrays named ``level:index/name``."""
        return joined({f"{level}:{i}": self._nodes[level, i] for level, i in self._in_order()})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], read: Callable[[Arrays], S]) -> Self:
        """The inverse of :meth:`to_arrays`; ``read`` is ``from_arrays`` of the statistic."""
        tree = cls()
        for node, inner in grouped(arrays).items():
            level, i = map(int, node.split(":"))
            tree._insert(level, i, read(inner))
        return tree

    def _in_order(self) -> Iterator[tuple[int, int]]:
        return iter(sorted(self._nodes, key=lambda node: node[1] << node[0]))

    def _insert(self, level: int, i: int, statistic: S) -> None:
        self._refuse_overlap(level, i)
        nodes = dict(self._nodes)  # so that whatever interrupts a merge leaves the tree as it was
        while (sibling := nodes.pop((level, i ^ 1), None)) is not None:
            statistic = sibling.merge(statistic) if i & 1 else statistic.merge(sibling)
            level, i = level + 1, i >> 1
        nodes[level, i] = statistic
        self._nodes = nodes

    def _refuse_overlap(self, level: int, i: int) -> None:
        above = any((up, i >> (up - level)) in self._nodes for up in range(level, _MOST_LEVELS))
        below = level > 0 and any(down < level and j >> (level - down) == i for down, j in self._nodes)
        if above or below:
            first = i << level
            cells = f"cell {first}" if level == 0 else f"a cell from {first} to {first + (1 << level) - 1}"
            raise InputError(f"{cells} is there already; its paths would be counted twice: give each cell once")
