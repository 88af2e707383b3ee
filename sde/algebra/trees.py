"""Contractions of symmetric tensors as trees: the monomials of a coordinate-free expansion.

A node is ``(kind, label, children)``; each child is a vector contracted with one slot of the node's symmetric tensor:

- ``(LOSS, sample, children)``: a derivative of the loss ``f_sample``; sample ``GAMMA`` is the minibatch of this step,
  ``MEAN`` the mean loss, and ``1, 2, ...`` are independent minibatches that an expectation runs over;
- ``(TEST, 0, children)``: a derivative of the test function ``phi``;
- ``(DIRECTION, name, ())``: a constant unit vector;
- ``(EMPTY, number, ())``: an empty slot, into which a vector will be put;
- ``(STATE, name, ())``: a block of the state, the position ``x`` or a memory such as a momentum buffer;
- ``(INTO, name, (child,))``: a vector put into a block, as the test function's argument where that is not ``x``.

Negative samples below ``MEAN`` are further minibatches of one step, which a rule has labelled.

As a *vector* a tree has one slot more, left open, than the root has children; as a *scalar* it has none. Slots are
symmetric, so children are sorted. A scalar has no distinguished root: :func:`scalar` chooses one.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

__all__ = [
    "DIRECTION",
    "EMPTY",
    "GAMMA",
    "INTO",
    "LOSS",
    "MEAN",
    "PHI",
    "POSITION",
    "SLOT",
    "STATE",
    "TEST",
    "Tree",
    "attach",
    "direction",
    "fill",
    "loss",
    "nodes",
    "relabel",
    "rootings",
    "scalar",
    "slots",
    "state",
]

Tree = tuple[str, Any, tuple[Any, ...]]

# Kinds of nodes. Canonical forms sort by them: another letter would be another, equally good, canonical form.
LOSS = "f"  # a derivative of a loss; its label is the sample
TEST = "p"  # a derivative of the test function phi
DIRECTION = "v"  # a constant unit vector; its label is the name
EMPTY = "x"  # a slot that waits for a vector; its label tells several apart
STATE = "q"  # a block of the state; its label is the name
INTO = "i"  # a vector of one block as a vector of all; its label is the block's name

POSITION = "x"
"""The block of the parameters, in which losses are differentiated."""

GAMMA, MEAN = 0, -1
SLOT: Tree = (EMPTY, 0, ())
PHI: Tree = (TEST, 0, ())


def _node(kind: str, label: Any, children: tuple[Tree, ...]) -> Tree:
    return (kind, label, tuple(sorted(children)))


def loss(sample: int, *arguments: Tree) -> Tree:
    """A derivative of ``f_sample`` contracted with vectors.

    Example:
        >>> loss(GAMMA, loss(GAMMA))  # as a vector: the Hessian times the gradient
        ('f', 0, (('f', 0, ()),))
    """
    return _node(LOSS, sample, arguments)


def direction(name: str) -> Tree:
    """A constant unit vector."""
    return (DIRECTION, name, ())


def state(name: str) -> Tree:
    """A block of the state, as a vector."""
    return (STATE, name, ())


def nodes(tree: Tree) -> Iterator[Tree]:
    """Every node, the root first."""
    yield tree
    for child in tree[2]:
        yield from nodes(child)


def relabel(tree: Tree, samples: Mapping[int, int]) -> Tree:
    """The same tree for other minibatches; samples that are not in the mapping stay."""
    kind, label, children = tree
    if kind == LOSS:
        label = samples.get(label, label)
    return _node(kind, label, tuple(relabel(child, samples) for child in children)) if children else (kind, label, ())


def attach(tree: Tree, vector: Tree) -> Tree:
    """Contract the root's open slot with a vector: ``<tree, vector>`` before a root is chosen."""
    kind, label, children = tree
    return _node(kind, label, (*children, vector))


def _rootings(tree: Tree) -> Iterator[Tree]:
    yield tree
    kind, label, children = tree
    for i, child in enumerate(children):
        rest = _node(kind, label, children[:i] + children[i + 1 :])
        yield from _below(child, rest)


def _below(tree: Tree, above: Tree) -> Iterator[Tree]:
    """Rootings at this node and below, where ``above`` is what hangs on the node's open slot."""
    yield attach(tree, above)
    kind, label, children = tree
    for i, child in enumerate(children):
        yield from _below(child, _node(kind, label, (*children[:i], *children[i + 1 :], above)))


def rootings(tree: Tree) -> list[Tree]:
    """The same scalar seen from each of its nodes."""
    return list(_rootings(tree))


@lru_cache(maxsize=200_000)
def scalar(tree: Tree) -> Tree:
    """The canonical rooting of a scalar: the root of highest degree, then the smallest in Python's order.

    Example:
        ``<Hg, Hg>`` and ``H[g, Hg]`` are one scalar:

        >>> g = loss(GAMMA)
        >>> hg = loss(GAMMA, g)
        >>> scalar(attach(hg, hg)) == scalar(attach(loss(GAMMA, hg), g))
        True
    """
    return min(_rootings(tree), key=lambda t: (t[0] != TEST, -len(t[2]), t))


def slots(tree: Tree, slot: Tree = SLOT, block: str = POSITION) -> Iterator[Tree]:
    """The terms of the tree's derivative in a block, each with an empty slot where the differentiation acted."""
    kind, label, children = tree
    if kind == TEST:
        yield _node(kind, label, (*children, slot if block == POSITION else (INTO, block, (slot,))))
    elif kind == LOSS and block == POSITION:
        yield _node(kind, label, (*children, slot))
    elif kind == STATE and label == block:  # the identity, whose root is the slot itself
        yield attach(children[0], slot) if children else slot
    for i, child in enumerate(children):
        for term in slots(child, slot, block):
            yield _node(kind, label, (*children[:i], term, *children[i + 1 :]))


def fill(tree: Tree, vector: Tree, slot: Tree = SLOT) -> Tree:
    """Put a vector into an empty slot, wherever it occurs."""
    if tree == slot:
        return vector
    kind, label, children = tree
    return _node(kind, label, tuple(fill(child, vector, slot) for child in children)) if children else tree
