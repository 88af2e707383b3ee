"""Expectations where they are read and computed: around the smallest part that depends on their minibatch.

Canonical terms have all expectations in front (:mod:`.algebra`). ``E_1[ (nabla^2 f)[H_1 g_1] / |g_1| ]`` is read, and
computed, as ``(nabla^2 f)[ E[H g / |g|] ]``: a matrix is applied once, not once per minibatch. Here a node
``(EXPECTATION, term, ())`` is the expectation of a term over its own sample ``GAMMA``; as a factor it is
``(EXPECTATION, term)``.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Protocol

from .terms import CONTRACTION, INNER, Atom, Factors, Term, relabelled, samples
from .trees import GAMMA, LOSS, MEAN, TEST, Tree, nodes, rootings

__all__ = ["EXPECTATION", "Terms", "crossing", "nested", "opened"]

EXPECTATION = "e"
"""The kind of a node, and of an atom, that is the expectation of a term: of what is read, never of canonical terms."""


class Terms(Protocol):
    """What has terms: a :class:`.sums.Sum`."""

    @property
    def terms(self) -> Mapping[Term, Fraction]:
        """Canonical term -> coefficient."""


def nested(term: Term) -> Term:
    """Close every expectation of a term around the smallest part that contains its minibatch.

    Two expectations that cross, as in ``E_1 E_2 <g_1, H_2 g_1> <g_2, g_1>``, stay open, their samples numbered. The
    drift, the correction and the increments of a rule never have such terms; the operators of a proof may.
    """
    pending = {s for s in samples(term) if GAMMA < s < INNER}
    while pending:
        for sample in sorted(pending):
            closed = _closed(term, sample)
            if closed is not None:
                term = closed
                pending.remove(sample)
                break
        else:
            break
    return term


def crossing(expression: Terms) -> bool:
    """Whether expectations stay open in it: it holds tensors of several minibatches at once."""
    return any(any(GAMMA < s < INNER for s in samples(nested(term))) for term in expression.terms)


def opened(atom: Atom) -> Iterator[tuple[Term, Fraction]]:
    """The terms of a sum within a power or a sign, with their expectations closed."""
    for term, c in atom[1]:
        yield nested(relabelled(term, {s: s - INNER for s in samples(term) if s > INNER})), c


def _dependence(term: Term) -> set[int]:
    """The samples, other than the mean loss, that a term depends on from outside."""
    return {s for s in samples(term) if s != MEAN and s < INNER}


def _closed(term: Term, sample: int) -> Term | None:
    vector, factors = term
    own = tuple((a, e) for a, e in factors if _dependence(((), ((a, e),))) == {sample})
    rest = tuple(factor for factor in factors if factor not in own)
    holders = [factor for factor in rest if sample in _dependence(((), (factor,)))]
    if vector and sample in _dependence((vector, ())):
        replaced = None if holders else _replaced(vector, sample, own)
        return None if replaced is None else (replaced, rest)
    if not holders:
        return vector, (*rest, ((EXPECTATION, _own(((), own), sample)), Fraction(1)))
    if len(holders) > 1 or holders[0][0][0] != CONTRACTION or holders[0][1] != 1:
        return None
    tree = holders[0][0][1]
    rooted = [tree] if tree[0] == TEST else rootings(tree)  # phi is what the operators act on: it stays outside
    candidates = [_replaced(t, sample, own) for t in rooted if t[:2] != (LOSS, sample)]
    found = [tree for tree in candidates if tree is not None and tree[2]]
    if not found:
        return None
    largest = max(found, key=lambda tree: sum(1 for _ in nodes(tree)))  # that leaves least to the expectation
    return vector, (*(f for f in rest if f != holders[0]), ((CONTRACTION, largest), Fraction(1)))


def _replaced(tree: Tree, sample: int, factors: Factors) -> Tree | None:
    """Replace the smallest subtree with all nodes of a sample by the expectation of its product with factors."""
    kind, label, children = tree
    holders = [i for i, child in enumerate(children) if sample in _dependence((child, ()))]
    if len(holders) == 1 and (kind, label) != (LOSS, sample):
        (i,) = holders
        child = _replaced(children[i], sample, factors)
        return None if child is None else (kind, label, (*children[:i], child, *children[i + 1 :]))
    if _dependence((tree, ())) != {sample}:
        return None
    return EXPECTATION, _own((tree, factors), sample), ()


def _own(term: Term, sample: int) -> Term:
    """The term with its sample called GAMMA, as in the text of an expectation."""
    return relabelled(term, {sample: GAMMA})
