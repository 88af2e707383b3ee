"""Canonical numbers for interchangeable labels: colour refinement, and individualisation where it does not decide.

The labels of a structure have an order that does not depend on their names. Labels that look different are told apart
by refining a partition; where labels look alike, each in turn is singled out, and the smallest numbered structure of
all branches is taken. A branch that a symmetry maps to one already seen is skipped; symmetries are found as two
numberings with the same structure. The result is exact: all branches left out have the same numbered structures.

Source: McKay and Piperno 2014, "Practical graph isomorphism, II", sections 2 and 3.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ...ground.errors import InputError

__all__ = ["canonical_order"]

Shape = Callable[[Mapping[int, int]], Any]
Cells = list[list[int]]

_MOST_SHAPES = 20_000
"""Ours: a second or more of work on one structure."""


class _Found(NamedTuple):
    """A numbering: the structure so numbered, the labels in order, and symmetries met on the way."""

    form: Any
    order: tuple[int, ...]
    symmetries: list[dict[int, int]]


def canonical_order(labels: Iterable[int], shape: Shape) -> list[int]:
    """The labels in an order that is the same, up to a symmetry, however they are named.

    Args:
        labels: what is to be ordered.
        shape: label -> colour to a description, hashable and sortable, of the structure so coloured. It must not
            depend on the labels' names, and with a different colour for each label it must determine the structure.

    Raises:
        InputError: so many labels look alike that the search would take too long.

    Example:
        The path 7 - 5 - 9, whose middle is found and whose ends are exchanged by a symmetry:

        >>> edges = [(7, 5), (5, 9)]
        >>> def shape(colours):
        ...     return tuple(sorted(tuple(sorted((colours[a], colours[b]))) for a, b in edges))
        >>> order = canonical_order([5, 7, 9], shape)
        >>> shape({label: i for i, label in enumerate(order)})
        ((0, 1), (0, 2))
    """
    counted = _counted(shape)
    return list(_search([sorted(labels)], counted, None).order)


def _counted(shape: Shape) -> Shape:
    calls = 0

    def counted(colours: Mapping[int, int]) -> Any:
        nonlocal calls
        calls += 1
        if calls > _MOST_SHAPES:
            raise InputError(
                f"{len(colours)} independent minibatches of one term look so much alike that telling them apart would "
                "take too long; ask for a lower power of rho, or for fewer or lower powers of expectations"
            )
        return shape(colours)

    return counted


def _colours(cells: Cells) -> Iterator[tuple[int, int]]:
    """Odd numbers: those between are free for a label that is singled out."""
    start = 0
    for cell in cells:
        for label in cell:
            yield label, 2 * start + 1
        start += len(cell)


def _refined(cells: Cells, shape: Shape) -> Cells:
    """Split cells by how the structure looks from each of their labels, until nothing splits."""
    while True:
        colours = dict(_colours(cells))
        finer: Cells = []
        for cell in cells:
            seen: dict[Any, list[int]] = {}
            for label in cell if len(cell) > 1 else ():
                seen.setdefault(shape({**colours, label: colours[label] + 1}), []).append(label)
            # Downwards: of two labels, the structure is then the smaller one of its two numberings.
            finer += [seen[look] for look in sorted(seen, reverse=True)] if seen else [cell]
        if len(finer) == len(cells):
            return cells
        cells = finer


def _search(cells: Cells, shape: Shape, target: Any) -> _Found:
    """The smallest numbering below a partition, or the first one found whose structure is the target."""
    cells = _refined(cells, shape)
    alike = min((cell for cell in cells if len(cell) > 1), key=len, default=None)
    if alike is None:
        form = shape(dict(_colours(cells)))
        return _Found(form, tuple(cell[0] for cell in cells), [])
    best: _Found | None = None
    symmetries: list[dict[int, int]] = []
    tried: set[int] = set()
    for label in alike:
        if tried & _orbit(label, symmetries):
            continue
        at = cells.index(alike)
        rest = [other for other in alike if other != label]
        found = _search([*cells[:at], [label], rest, *cells[at + 1 :]], shape, best.form if best else target)
        tried.add(label)
        if found.form == target:
            return found
        if best is None:
            symmetries += found.symmetries  # they leave the labels singled out so far where they are
            best = found
        elif found.form == best.form:
            symmetries.append(dict(zip(best.order, found.order, strict=True)))
        elif found.form < best.form:
            best = found
    assert best is not None
    return best._replace(symmetries=symmetries)


def _orbit(label: int, symmetries: list[dict[int, int]]) -> set[int]:
    """Where compositions of symmetries take a label; of finite order, they have their inverses among them."""
    reached, new = {label}, [label]
    while new:
        current = new.pop()
        for symmetry in symmetries:
            if symmetry[current] not in reached:
                reached.add(symmetry[current])
                new.append(symmetry[current])
    return reached
