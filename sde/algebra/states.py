"""What steps of a recursion do to an expression: blocks replaced, slots filled, minibatches averaged over, time moved.

Everything is graded: ``(a, k)`` is the power ``eta^a rho^k``.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fractions import Fraction

from ...ground.errors import InputError
from .sums import Sum
from .terms import CONTRACTION, NESTED, PARAMETER, Collector, Factors, Term, bound_samples, relabelled, samples, shifted
from .trees import EMPTY, STATE, Tree, attach, nodes

__all__ = ["Graded", "averaged", "degree", "inserted", "leaf_labels", "time_derivative"]

Graded = Mapping[tuple[int, int], Sum]
"""Coefficients by powers ``(a, k)`` of ``eta^a rho^k``."""

_FIRST_TOKEN = 1000  # slots that are filled have smaller numbers
_ONE = Fraction(1)


def degree(term: Term, names: Collection[str]) -> int:
    """How often blocks of the state occur in a term.

    Raises:
        InputError: one occurs within a power that cannot be multiplied out, or within a sign.
    """
    return sum(1 for _ in leaf_labels(term, names))


def leaf_labels(term: Term, names: Collection[str]) -> Iterator[str]:
    """The blocks that occur in a term, as often as they do."""
    vector, factors = term
    if vector:
        yield from _leaves(vector, names)
    for atom, e in factors:
        found = list(_in_atom(atom, names))
        if found and (atom[0] in NESTED or e.denominator != 1 or e < 0):
            raise InputError(
                f"a power or sign of an expression in {', '.join(sorted(set(found)))} is no polynomial in it"
            )
        yield from found * int(e)


def _in_atom(atom: tuple[str, object], names: Collection[str]) -> Iterator[str]:
    kind, value = atom
    if kind == CONTRACTION:
        yield from _leaves(value, names)  # type: ignore[arg-type]  # a tree
    elif kind in NESTED:
        for (_, factors), _c in value:  # type: ignore[attr-defined]  # terms and coefficients
            for inner, _e in factors:
                yield from _in_atom(inner, names)


def _leaves(tree: Tree, names: Collection[str]) -> Iterator[str]:
    return (label for kind, label, _ in nodes(tree) if kind == STATE and label in names)


def inserted(
    expression: Sum,
    blocks: Mapping[str, Graded],
    fillings: Sequence[tuple[Tree, Graded]],
    fits: Callable[[int, int], bool],
) -> dict[tuple[int, int], Sum]:
    """Replace every block by its graded value, and fill slots, at once: what is put in is not replaced again.

    Args:
        expression: a scalar or a vector.
        blocks: values of blocks by name.
        fillings: slots and what is put into each.
        fits: whether a power ``(a, k)`` is kept.
    """
    collected: dict[tuple[int, int], Collector] = {}
    for term, c in expression.terms.items():
        if degree(term, blocks):
            vector, factors, tokens = _marked(term, blocks)
        else:
            vector, factors = term
            tokens = []
        partial: list[tuple[Tree | tuple[()], Factors, Fraction, int, int]] = [(vector, factors, c, 0, 0)]
        for token, values in [*fillings, *((token, blocks[name]) for token, name in tokens)]:
            partial = [
                (*_put(v, f, token, term2), c1 * c2, a1 + a2, k1 + k2)
                for v, f, c1, a1, k1 in partial
                for (a2, k2), value in values.items()
                if fits(a1 + a2, k1 + k2)
                for term2, c2 in value.terms.items()
            ]
        for v, f, c1, a, k in partial:
            collected.setdefault((a, k), Collector()).add(v, f, c1)
    return {power: found for power, each in collected.items() if (found := Sum(each.terms))}


def _marked(term: Term, names: Collection[str]) -> tuple[Tree | tuple[()], Factors, list[tuple[Tree, str]]]:
    """The term with an own slot for every occurrence of a block; whole powers of scalars are written out."""
    vector, factors = term
    tokens: list[tuple[Tree, str]] = []

    def mark(tree: Tree) -> Tree:
        kind, label, children = tree
        below = tuple(mark(child) for child in children)
        if kind == STATE and label in names:
            token: Tree = (EMPTY, _FIRST_TOKEN + len(tokens), below)
            tokens.append(((EMPTY, _FIRST_TOKEN + len(tokens), ()), label))
            return token
        return kind, label, below

    written: list[tuple[tuple[str, object], Fraction]] = []
    for atom, e in factors:
        if atom[0] == CONTRACTION and any(True for _ in _leaves(atom[1], names)):
            written += [((CONTRACTION, mark(atom[1])), _ONE) for _ in range(int(e))]
        else:
            written.append((atom, e))
    return (mark(vector) if vector else ()), tuple(written), tokens


def _put(vector: Tree | tuple[()], factors: Factors, slot: Tree, term: Term) -> tuple[Tree | tuple[()], Factors]:
    v2, f2 = shifted(term, bound_samples((vector, factors)))
    if not v2:
        raise TypeError("a scalar where a vector is expected")
    filled = tuple(((a[0], _filled(a[1], slot, v2)) if a[0] == CONTRACTION else a, e) for a, e in factors)
    return (_filled(vector, slot, v2) if vector else ()), (*filled, *f2)


def _filled(tree: Tree, slot: Tree, vector: Tree) -> Tree:
    """As :func:`.trees.fill`, also where the slot is the root of a scalar."""
    kind, label, children = tree
    if (kind, label) == slot[:2]:
        return attach(vector, children[0]) if children else vector
    if not children:
        return tree
    return kind, label, tuple(sorted(_filled(child, slot, vector) for child in children))


def averaged(expression: Sum, draws: Collection[int], distinct: int | None = None, given: int | None = None) -> Sum:
    """``E`` over labelled minibatches of a step.

    Args:
        expression: what depends on them.
        draws: their labels.
        distinct: the size of the family, if no two labels are the same minibatch; None if they are independent.
        given: a label that is not averaged over: the expectation is conditional on it.

    Example:
        The mean of ``<g_a, g_b>`` over two different minibatches of three, ``(9 |Df|^2 - 3 E|g|^2) / 6``:

        >>> a, b = Sum.derivative(sample=-2), Sum.derivative(sample=-3)
        >>> averaged(a.inner(b), [-2, -3], distinct=3)
        3/2 |Df|^2 - 1/2 E[|g|^2]
    """
    result = Collector()
    for term, c in expression.terms.items():
        found = sorted((set(samples(term)) & set(draws)) | ({given} if given is not None else set()))
        first = bound_samples(term) + 1
        for blocks, weight in _partitions(found, distinct):
            named = {id(block): given if given in block else first + i for i, block in enumerate(blocks)}
            renamed = {label: named[id(block)] for block in blocks for label in block}
            result.add(*relabelled(term, renamed), c * weight)
    return Sum(result.terms)


def _partitions(labels: Sequence[int], distinct: int | None) -> Iterator[tuple[list[list[int]], Fraction]]:
    """Which labels are one minibatch of an independent average, with weights: inclusion and exclusion."""
    if distinct is None or len(labels) < 2:
        yield [[label] for label in labels], _ONE
        return
    count = math.perm(distinct, len(labels))
    if not count:
        raise InputError(f"{len(labels)} different minibatches of a family of {distinct}; draw fewer")
    for blocks in _set_partitions(list(labels)):
        weight = Fraction(distinct ** len(blocks), count)
        for block in blocks:
            weight *= (-1) ** (len(block) - 1) * math.factorial(len(block) - 1)
        yield blocks, weight


def _set_partitions(labels: list[int]) -> Iterator[list[list[int]]]:
    if not labels:
        yield []
        return
    first, rest = labels[0], labels[1:]
    for blocks in _set_partitions(rest):
        yield [[first], *blocks]
        for i in range(len(blocks)):
            yield [*blocks[:i], [first, *blocks[i]], *blocks[i + 1 :]]


def time_derivative(expression: Sum, schedules: Collection[str]) -> Sum:
    """``d/dt`` of schedules: ``s`` becomes ``s'``.

    Raises:
        InputError: a schedule within a power that cannot be multiplied out.
    """
    result = Collector()
    for (vector, factors), c in expression.terms.items():
        for i, (atom, e) in enumerate(factors):
            kind, value = atom
            if kind in NESTED and any(_has_parameter(term, schedules) for term, _ in value):
                raise InputError("a schedule within a power of a sum; write it as a factor of its own")
            if kind == PARAMETER and value.rstrip("'") in schedules:
                moved = ((atom, e - 1), ((PARAMETER, value + "'"), _ONE))
                result.add(vector, (*factors[:i], *factors[i + 1 :], *moved), c * e)
    return Sum(result.terms)


def _has_parameter(term: Term, names: Collection[str]) -> bool:
    return any(
        (atom[0] == PARAMETER and atom[1].rstrip("'") in names)
        or (atom[0] in NESTED and any(_has_parameter(inner, names) for inner, _ in atom[1]))
        for atom, _ in term[1]
    )
