"""Terms: rational multiples of scalars times one vector, averaged over minibatches, in canonical form.

A *term* is ``E_{1,2,...} [factors * vector]``: all expectations stand in front, over independent minibatches
``1, 2, ...``, which multilinearity allows. A minibatch that a term contains once, linearly, is replaced by the mean
loss, and the others are numbered in an order that depends on the term alone (:mod:`.labelling`). So equal terms have
equal keys.

The *factors* are powers of atoms:

- ``(CONTRACTION, tree)``: a scalar tree;
- ``(PARAMETER, name)``: a positive parameter;
- ``(NUMBER, prime)``: a prime, for roots of rationals;
- ``(SUM, sum)``: a sum whose power cannot be multiplied out;
- ``(SIGN, sum)``: the sign of a sum.

The last two hold the sorted (term, coefficient) pairs of the sum, whose own expectations are numbered from 1001 on.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ...ground.errors import InputError
from .effort import spend
from .labelling import canonical_order
from .trees import DIRECTION, LOSS, MEAN, POSITION, Tree, nodes, relabel, rootings, scalar, slots

__all__ = [
    "CONTRACTION",
    "INNER",
    "NESTED",
    "NUMBER",
    "PARAMETER",
    "SIGN",
    "SUM",
    "Atom",
    "Collector",
    "Factors",
    "Term",
    "bound_samples",
    "differentiated",
    "highest_derivative",
    "is_positive",
    "moved",
    "number_power",
    "relabelled",
    "samples",
    "shifted",
]

Atom = tuple[str, Any]
Factors = tuple[tuple[Atom, Fraction], ...]
Term = tuple[Tree | tuple[()], Factors]  # (vector, factors); no vector: a scalar

# Kinds of atoms. Canonical forms sort by them, as by the kinds of nodes in trees.
CONTRACTION = "t"  # of a scalar tree
PARAMETER = "a"  # of a positive number with a name
NUMBER = "n"  # of a whole number, a prime where it can be
SUM = "s"  # of a sum whose power cannot be multiplied out
SIGN = "g"  # of the sign of a sum
NESTED = (SUM, SIGN)  # those that hold terms

INNER = 1000
_MOST_SAMPLES = 60  # a product of all vectors of a derivative stays below INNER
_MOST_TERMS = 5_000
_LARGEST_FACTOR = 10_000
"""Ours: what is divided out of a number; the rest stays one base unless it is easily seen to be a power."""
_ONE = Fraction(1)


class Collector:
    """Adds terms up, each brought into canonical form.

    Attributes:
        terms: canonical term -> coefficient.
    """

    def __init__(self) -> None:
        self.terms: dict[Term, Fraction] = {}

    def add(self, vector: Tree | tuple[()], factors: Factors, coefficient: Fraction) -> "Collector":
        """Add ``coefficient * factors * vector``; factors may repeat."""
        merged: dict[Atom, Fraction] = {}
        effort = 1
        for atom, e in factors:
            if atom[0] in NESTED:
                effort += len(atom[1])
            elif atom[0] == CONTRACTION:
                atom = (CONTRACTION, scalar(atom[1]))
                if _is_unit(atom[1]):
                    continue
            merged[atom] = merged.get(atom, Fraction(0)) + e
        spend(effort)
        kept: Factors = ()
        for atom, e in merged.items():
            if atom[0] == SUM and e > 0 and e.denominator == 1:  # a whole power: multiply out
                rest = tuple((a, x if a != atom else e - 1) for a, x in merged.items())
                for more, c in _opened(atom, (vector, rest)):
                    self.add(vector, (*rest, *more), coefficient * c)
                return self
            if atom[0] == NUMBER:
                whole = math.floor(e)
                coefficient, e = coefficient * Fraction(atom[1]) ** whole, e - whole
            elif atom[0] == SIGN:
                e %= 2
            if e:
                kept = (*kept, (atom, e))
        term = _canonical((vector, tuple(sorted(kept))))
        if len({atom for atom, _ in term[1]}) < len(term[1]):  # what was averaged became equal to another factor
            return self.add(*term, coefficient)
        self.terms[term] = self.terms.get(term, Fraction(0)) + coefficient
        if len(self.terms) > _MOST_TERMS:
            raise InputError(f"more than {_MOST_TERMS} terms in one expression; ask for fewer powers or a simpler rule")
        return self


def _opened(atom: Atom, beside: Term) -> Iterator[tuple[Factors, Fraction]]:
    """The terms of a sum within a power, its own expectations renamed to be none of the term's beside it."""
    shift = bound_samples(beside)
    for term, c in atom[1]:
        moved = {s: s - INNER + (shift if s < 2 * INNER else 0) for s in samples(term) if s > INNER}
        yield relabelled(term, moved)[1], c


def differentiated(
    vector: Tree | tuple[()], factors: Factors, slot: Tree, block: str = POSITION
) -> Iterator[tuple[Tree | tuple[()], Factors, Fraction]]:
    """The product rule; the terms are not canonical yet, since their samples may belong to a scope outside."""
    if vector:
        for tree in slots(vector, slot, block):
            yield tree, factors, _ONE
    for i, (atom, e) in enumerate(factors):
        rest = (*factors[:i], *factors[i + 1 :], (atom, e - 1))
        if atom[0] == CONTRACTION:
            for tree in slots(atom[1], slot, block):
                yield vector, (*rest, ((CONTRACTION, tree), _ONE)), e
        elif atom[0] == SUM:
            for inner, c in _opened(atom, (vector, factors)):
                for _, product, ci in differentiated((), inner, slot, block):
                    yield vector, (*rest, *product), e * c * ci


def highest_derivative(term: Term) -> int:
    """The highest derivative of a loss in a term."""
    vector, factors = term
    orders = [_highest(tree, 0) for tree in _trees_of(((), factors))]
    return max([_highest(vector, 1) if vector else 0, *orders])


def samples(term: Term) -> Counter[int]:
    """How often each minibatch occurs in a term, inside powers and signs, too."""
    return Counter(node[1] for tree in _trees_of(term) for node in nodes(tree) if node[0] == LOSS)


def bound_samples(term: Term) -> int:
    """How many expectations stand in front of a term."""
    most = 0
    for tree in _trees_of(term):
        for kind, label, _ in nodes(tree):
            if kind == LOSS and most < label < INNER:
                most = label
    return most


def _trees_of(term: Term) -> Iterator[Tree]:
    vector, factors = term
    if vector:
        yield vector
    for atom, _ in factors:
        if atom[0] == CONTRACTION:
            yield atom[1]
        elif atom[0] in NESTED:
            for inner, _ in atom[1]:
                yield from _trees_of(inner)


def _highest(tree: Tree, above: int) -> int:
    """The highest derivative of a loss in a tree whose root has ``above`` slots more than children."""
    kind, _, children = tree
    return max([len(children) + above if kind == LOSS else 0, *(_highest(child, 1) for child in children)])


def relabelled(term: Term, samples: Mapping[int, int]) -> Term:
    """The same term for other minibatches."""
    vector, factors = term
    renamed = []
    for atom, e in factors:
        if atom[0] == CONTRACTION:
            atom = (CONTRACTION, scalar(relabel(atom[1], samples)))
        elif atom[0] in NESTED:
            atom = (atom[0], tuple(sorted((relabelled(inner, samples), c) for inner, c in atom[1])))
        renamed.append((atom, e))
    return (relabel(vector, samples) if vector else ()), tuple(sorted(renamed))


def shifted(term: Term, by: int) -> Term:
    """Rename a term's own expectations, so that they are not those of another one."""
    count = bound_samples(term)
    return relabelled(term, {i: i + by for i in range(1, count + 1)}) if by > 0 and count > 0 else term


def moved(term: Term, by: int) -> Term:
    """Move a term's expectations into the scope of a power or a sign."""
    return relabelled(term, {s: s + by for s in samples(term) if s > 0})


def _canonical(term: Term) -> Term:
    if not bound_samples(term):
        return term
    vector, factors = term
    pieces = [(piece, samples(piece)) for piece in ((vector, ()), *(((), (factor,)) for factor in factors))]
    apart: list[Term] = []
    bound: list[tuple[set[int], Term]] = []
    for piece, found in _averaged(pieces):
        own = {s for s in found if 0 < s < INNER}
        if own:
            bound.append((own, piece))
        else:
            apart.append(piece)
    count = 0
    for part in sorted(_numbered(*_compressed(*group)) for group in _connected(bound)):
        apart.append(shifted(part, count))
        count += bound_samples(part)
    if count > _MOST_SAMPLES:
        raise InputError(
            f"{count} independent minibatches in one term; at most {_MOST_SAMPLES} are kept apart, give lower powers "
            "of expectations"
        )
    return _product(apart)


def _product(pieces: Iterable[Term]) -> Term:
    """Of which at most one has a vector."""
    vector: Tree | tuple[()] = ()
    factors: list[tuple[Atom, Fraction]] = []
    for v, f in pieces:
        vector = vector or v
        factors += f
    return vector, tuple(sorted(factors))


def _averaged(pieces: list[tuple[Term, Counter[int]]]) -> list[tuple[Term, Counter[int]]]:
    """Replace every minibatch that occurs once, linearly, by the mean loss."""
    occurrences, linear = Counter[int](), Counter[int]()
    for (_, factors), found in pieces:
        occurrences.update(found)
        if not factors or (factors[0][0][0] == CONTRACTION and factors[0][1] == 1):
            linear.update(found)
    alone = {s: MEAN for s, n in occurrences.items() if 0 < s < INNER and n == linear[s] == 1}
    if not alone:
        return pieces
    renamed = [relabelled(piece, alone) if alone.keys() & found.keys() else piece for piece, found in pieces]
    return [(piece, samples(piece)) for piece in renamed]


def _connected(pieces: list[tuple[set[int], Term]]) -> list[tuple[set[int], Term]]:
    """Multiply pieces that share a minibatch: each product is an expectation of its own."""
    parts: list[tuple[set[int], list[Term]]] = []
    for found, piece in pieces:
        together = [piece]
        for other in [part for part in parts if part[0] & found]:
            parts.remove(other)
            found, together = found | other[0], together + other[1]
        parts.append((found, together))
    return [(found, _product(together)) for found, together in parts]


def _compressed(bound: set[int], part: Term) -> tuple[Term, int]:
    """With the minibatches 1, 2, ..., n in the order of their labels, so that what is cached is found; and n."""
    return relabelled(part, {s: i for i, s in enumerate(sorted(bound), 1)}), len(bound)


@lru_cache(maxsize=100_000)
def _numbered(part: Term, count: int) -> Term:
    """A connected part with its minibatches in canonical order."""
    if count == 1:
        return part
    order = canonical_order(range(1, count + 1), lambda colours: relabelled(part, colours))
    return relabelled(part, {s: i for i, s in enumerate(order, 1)})


def _is_unit(tree: Tree) -> bool:
    """``<v, v>`` of a direction."""
    kind, label, children = tree
    return kind == DIRECTION and children == ((DIRECTION, label, ()),)


def _is_square(tree: Tree) -> bool:
    """``<a, a>``: an edge with the same vector at both of its ends."""
    for rooted in rootings(tree):
        kind, label, children = rooted
        for i, child in enumerate(children):
            if child == (kind, label, children[:i] + children[i + 1 :]) and (not i or children[i - 1] != child):
                return True
    return False


def is_positive(atom: Atom) -> bool:
    """Parameters, primes, and squares ``<a, a>``, which are taken not to be 0 where they are divided by."""
    return atom[0] in (PARAMETER, NUMBER) or (atom[0] == CONTRACTION and _is_square(atom[1]))


def number_power(c: Fraction, q: Fraction) -> Factors:
    """``c^q`` as powers of whole numbers, of primes where ``q`` is not whole; ``c`` is positive then."""
    if q.denominator == 1:  # Collector multiplies whole powers into the coefficient
        return (((NUMBER, c.numerator), q), ((NUMBER, c.denominator), -q))
    primes = {}
    for number, sign in ((c.numerator, 1), (c.denominator, -1)):
        primes.update({p: sign * k for p, k in _factored(number).items()})
    return tuple(((NUMBER, p), k * q) for p, k in primes.items() if p != 1)


def _factored(number: int) -> dict[int, int]:
    """Prime -> exponent; a composite without small factors stays one base: its roots are still powers of itself."""
    found: dict[int, int] = {}
    rest, candidate = number, 2
    while candidate**2 <= rest and candidate < _LARGEST_FACTOR:
        while rest % candidate == 0:
            found[candidate] = found.get(candidate, 0) + 1
            rest //= candidate
        candidate += 1
    if candidate**2 > rest:
        return found if rest == 1 else found | {rest: found.get(rest, 0) + 1}
    import sympy  # here, since only numbers that nobody writes by hand need it

    sized = sympy.factorint(number, limit=_LARGEST_FACTOR, use_rho=False, use_pm1=False, use_ecm=False)
    return {int(p): int(k) for p, k in sized.items()}
