"""Exact expressions: rational combinations of products of scalars with one vector, averaged over minibatches.

A *term* is ``E_{1,2,...} [factors * vector]``: all expectations stand in front, over independent minibatches
``1, 2, ...``, which multilinearity allows. A minibatch that a term contains once, linearly, is replaced by the mean
loss, and the others are numbered so that the term is smallest. So equal terms have equal keys, a sum is a dictionary
from keys to rational coefficients, and an identity is proved when a difference is the empty dictionary.

The *factors* are powers of atoms:

- ``("t", tree)``: a scalar tree;
- ``("a", name)``: a positive parameter;
- ``("n", prime)``: a prime, for roots of rationals;
- ``("s", sum)``: a sum whose power cannot be multiplied out;
- ``("g", sum)``: the sign of a sum.

Inside the last two, expectations of their own are numbered from 1001 on.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy

from ...landscapes import InputError
from .trees import GAMMA, MEAN, SLOT, Tree, attach, direction, fill, loss, nodes, relabel, rootings, scalar, slots

__all__ = ["INNER", "Atom", "Factors", "Sum", "Term", "bound_samples", "relabelled", "samples"]

Atom = tuple[str, Any]
Factors = tuple[tuple[Atom, Fraction], ...]
Term = tuple[Tree | tuple[()], Factors]  # (vector, factors); no vector: a scalar

INNER = 1000
_ONE = Fraction(1)


class Sum:
    """A scalar or a vector: ``sum_i c_i E[factors_i * vector_i]`` with rational ``c_i``.

    Built with :meth:`number`, :meth:`parameter`, :meth:`direction`, :meth:`derivative` and arithmetic; compared with
    ``==``, which is exact: canonical forms are compared.

    Example:
        The drift of USAM is a gradient, ``E[H g] = 1/2 grad E|g|^2``:

        >>> from eigensam.sde.symbolic.algebra import Sum
        >>> g = Sum.derivative()
        >>> Sum.derivative(g).mean() == g.inner(g).mean().gradient() * Fraction(1, 2)
        True
    """

    __slots__ = ("__dict__", "terms")

    def __init__(self, terms: Mapping[Term, Fraction] | None = None) -> None:
        self.terms: dict[Term, Fraction] = {t: c for t, c in (terms or {}).items() if c}

    # -- construction

    @staticmethod
    def number(value: int | Fraction) -> "Sum":
        """A rational scalar."""
        return Sum({((), ()): Fraction(value)})

    @staticmethod
    def parameter(name: str) -> "Sum":
        """A scalar parameter, positive by convention."""
        return Sum({((), ((("a", name), _ONE),)): _ONE})

    @staticmethod
    def direction(name: str) -> "Sum":
        """A constant unit vector."""
        return Sum({(direction(name), ()): _ONE})

    @staticmethod
    def derivative(*arguments: "Sum", sample: int = GAMMA) -> "Sum":
        """``grad^{k+1} f[a_1, ..., a_k, .]``, a vector; the gradient for no argument."""
        return _multilinear(lambda *trees: loss(sample, *trees), arguments)

    @staticmethod
    def full_contraction(node: Tree, *arguments: "Sum") -> "Sum":
        """A node's tensor with every slot filled, a scalar: a loss, ``phi`` or derivatives of them."""
        kind, label, _ = node
        return _scalars(_multilinear(lambda *trees: (kind, label, tuple(sorted(trees))), arguments))

    # -- what it is

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        from .printing import text

        return text(self)

    @cached_property
    def key(self) -> tuple[tuple[Term, Fraction], ...]:
        """Sorted terms: hashable, and the same for equal sums."""
        return tuple(sorted(self.terms.items()))

    @property
    def is_vector(self) -> bool:
        """Whether it has vector terms; zero is neither."""
        return any(vector for vector, _ in self.terms)

    @property
    def smoothness(self) -> int:
        """The highest derivative of the losses in it."""
        orders = [_highest(vector, 1) for vector, _ in self.terms if vector]
        orders += [_highest(tree, 0) for _, factors in self.terms for tree in _trees_of(((), factors))]
        return max(orders, default=0)

    # -- arithmetic

    def __add__(self, other: "Sum") -> "Sum":
        terms = Counter(self.terms)
        for term, c in other.terms.items():
            terms[term] += c  # type: ignore[assignment]
        return Sum(terms)  # type: ignore[arg-type]

    def __neg__(self) -> "Sum":
        return self * -1

    def __sub__(self, other: "Sum") -> "Sum":
        return self + -other

    def __mul__(self, other: "Sum | int | Fraction") -> "Sum":
        if not isinstance(other, Sum):
            return Sum({term: c * other for term, c in self.terms.items()})
        result = _Builder()
        for (v1, f1), c1 in self.terms.items():
            shift = bound_samples((v1, f1))
            for term, c2 in other.terms.items():
                v2, f2 = _shifted(term, shift)
                if v1 and v2:
                    raise TypeError("a product of two vectors; use inner")
                result.add(v1 or v2, (*f1, *f2), c1 * c2)
        return result.sum()

    def inner(self, other: "Sum") -> "Sum":
        """``<a, b>`` of two vectors."""
        result = _Builder()
        for (v1, f1), c1 in self.terms.items():
            shift = bound_samples((v1, f1))
            for term, c2 in other.terms.items():
                v2, f2 = _shifted(term, shift)
                if not v1 or not v2:
                    raise TypeError("an inner product needs two vectors")
                result.add((), ((("t", attach(v1, v2)), _ONE), *f1, *f2), c1 * c2)
        return result.sum()

    def power(self, exponent: Fraction | int) -> "Sum":
        """``a^q`` of a scalar for rational ``q``; ``InputError`` where that does not exist."""
        q = Fraction(exponent)
        if q.denominator == 1 and q >= 0:
            result = Sum.number(1)
            for _ in range(int(q)):
                result = result * self
            return result
        if not self:
            raise InputError(f"0 to the power {q}")
        if len(self.terms) == 1:
            ((_, factors),) = self.terms
            coefficient = self.terms[(), factors]
            if not bound_samples(((), factors)) and (q.denominator == 1 or _positive(coefficient, factors)):
                raised = tuple((atom, e * q) for atom, e in factors)
                return _Builder().add((), (*raised, *_number_power(coefficient, q)), _ONE).sum()
            if coefficient < 0 and _positive(-coefficient, factors):
                raise InputError(f"the power {q} of {self}, which is negative")
        content = self._content()
        base = Sum({_moved(term, INNER): c / content for term, c in self.terms.items()})
        return _Builder().add((), ((("s", base.key), q), *_number_power(content, q)), _ONE).sum()

    def _content(self) -> Fraction:
        """The greatest positive rational that divides every coefficient."""
        values = self.terms.values()
        return Fraction(math.gcd(*(c.numerator for c in values)), math.lcm(*(c.denominator for c in values)))

    def sign(self) -> "Sum":
        """``sign(a)`` of a scalar; its derivative is 0, which is right wherever ``a`` is not 0."""
        if not self:
            raise InputError("the sign of 0")
        negative = self.key[0][1] < 0
        outside = Sum.number(-1 if negative else 1)
        base = self * (outside.terms[(), ()] / self._content())
        if len(base.terms) == 1:  # what is positive has no part in the sign
            (term,) = base.terms
            if not bound_samples(term):
                odd = tuple((atom, _ONE) for atom, e in term[1] if not _is_positive(atom) and e % 2 == 1)
                base = Sum({((), odd): _ONE})
                if not odd:
                    return outside
        base = Sum({_moved(term, INNER): c for term, c in base.terms.items()})
        return outside * Sum({((), ((("g", base.key), _ONE),)): _ONE})

    # -- expectation

    def mean(self) -> "Sum":
        """``E`` over the minibatch of this step."""
        result = _Builder()
        for term, c in self.terms.items():
            vector, factors = relabelled(term, {GAMMA: bound_samples(term) + 1})
            result.add(vector, factors, c)
        return result.sum()

    # -- derivatives

    def gradient(self) -> "Sum":
        """``grad_x`` of a scalar, a vector; directions are constant."""
        return _open(self.differentiated())

    def differentiated(self, slot: Tree = SLOT) -> "Sum":
        """The derivative, with an empty slot where the direction belongs; see :meth:`fill`."""
        result = _Builder()
        for (vector, factors), c in self.terms.items():
            for tree, product, ci in _differentiated(vector, factors, slot):
                result.add(tree, product, c * ci)
        return result.sum()

    def along(self, vector: "Sum") -> "Sum":
        """The derivative in the direction of a vector that depends on ``x`` but is held constant here."""
        return self.differentiated().fill(vector)

    def fill(self, vector: "Sum", slot: Tree = SLOT) -> "Sum":
        """Put a vector into the empty slot that each term has once."""
        result = _Builder()
        for (v1, f1), c1 in self.terms.items():
            shift = bound_samples((v1, f1))
            for term, c2 in vector.terms.items():
                v2, f2 = _shifted(term, shift)
                if not v2:
                    raise TypeError("a scalar where a vector is expected")
                tree = fill(v1, v2, slot) if v1 else ()
                factors = tuple(((a[0], fill(a[1], v2, slot)) if a[0] == "t" else a, e) for a, e in f1)
                result.add(tree, (*factors, *f2), c1 * c2)
        return result.sum()

    def replaced(self, scalar_values: Callable[[Tree], "Sum | None"]) -> "Sum":
        """Replace scalar trees by values, where the function has one; for assumptions such as ``H v = lambda v``."""
        result = _Builder()
        for (vector, factors), c in self.terms.items():
            products: list[tuple[Factors, Fraction]] = [((), c)]
            for atom, e in factors:
                value = scalar_values(atom[1]) if atom[0] == "t" else None
                choices = {((), ((atom, e),)): _ONE} if value is None else value.power(e).terms
                products = [((*f, *more), a * b) for f, a in products for (_, more), b in choices.items()]
            for product, a in products:
                result.add(vector, product, a)
        return result.sum()


class _Builder:
    """Collects terms in canonical form."""

    def __init__(self) -> None:
        self.terms: dict[Term, Fraction] = {}

    def add(self, vector: Tree | tuple[()], factors: Factors, coefficient: Fraction) -> "_Builder":
        merged: dict[Atom, Fraction] = {}
        for atom, e in factors:
            if atom[0] == "t":
                atom = ("t", scalar(atom[1]))
                if _is_unit(atom[1]):
                    continue
            merged[atom] = merged.get(atom, Fraction(0)) + e
        kept: Factors = ()
        for atom, e in merged.items():
            if atom[0] == "s" and e > 0 and e.denominator == 1:  # a whole power: multiply out
                rest = tuple((a, x if a != atom else e - 1) for a, x in merged.items())
                for more, c in _opened(atom, (vector, rest)):
                    self.add(vector, (*rest, *more), coefficient * c)
                return self
            if atom[0] == "n":
                whole = math.floor(e)
                coefficient, e = coefficient * Fraction(atom[1]) ** whole, e - whole
            elif atom[0] == "g":
                e %= 2
            if e:
                kept = (*kept, (atom, e))
        term = _canonical((vector, tuple(sorted(kept))))
        self.terms[term] = self.terms.get(term, Fraction(0)) + coefficient
        return self

    def sum(self) -> Sum:
        return Sum(self.terms)


def _opened(atom: Atom, beside: Term) -> Iterator[tuple[Factors, Fraction]]:
    """The terms of a sum within a power, its own expectations renamed to be none of the term's beside it."""
    shift = bound_samples(beside) - INNER
    for term, c in atom[1]:
        yield relabelled(term, {s: s + shift for s in samples(term) if s > INNER})[1], c


def _differentiated(
    vector: Tree | tuple[()], factors: Factors, slot: Tree
) -> Iterator[tuple[Tree | tuple[()], Factors, Fraction]]:
    """The product rule; the terms are not canonical yet, since their samples may belong to a scope outside."""
    if vector:
        for tree in slots(vector, slot):
            yield tree, factors, _ONE
    for i, (atom, e) in enumerate(factors):
        rest = (*factors[:i], *factors[i + 1 :], (atom, e - 1))
        if atom[0] == "t":
            for tree in slots(atom[1], slot):
                yield vector, (*rest, (("t", tree), _ONE)), e
        elif atom[0] == "s":
            for inner, c in _opened(atom, (vector, factors)):
                for _, product, ci in _differentiated((), inner, slot):
                    yield vector, (*rest, *product), e * c * ci


def _multilinear(build: Callable[..., Tree], arguments: tuple[Sum, ...]) -> Sum:
    """A tree over the trees of the arguments, for every combination of their terms."""
    result = _Builder()
    for combination in itertools.product(*(a.terms.items() for a in arguments)):
        trees: list[Tree] = []
        factors: Factors = ()
        coefficient, shift = _ONE, 0
        for term, c in combination:
            vector, f = _shifted(term, shift)
            if not vector:
                raise TypeError("a scalar where a vector is expected")
            shift += bound_samples(term)
            trees.append(vector)
            factors = (*factors, *f)
            coefficient *= c
        result.add(build(*trees), factors, coefficient)
    return result.sum()


def _scalars(vectors: Sum) -> Sum:
    """Read each tree as a scalar: its root has no open slot."""
    result = _Builder()
    for (vector, factors), c in vectors.terms.items():
        assert vector
        result.add((), ((("t", vector), _ONE), *factors), c)
    return result.sum()


def _open(filled: Sum) -> Sum:
    """Turn scalars with one empty slot into the vectors that they are linear in."""
    result = _Builder()
    for (_, factors), c in filled.terms.items():
        (index,) = [i for i, (atom, _) in enumerate(factors) if atom[0] == "t" and SLOT in nodes(atom[1])]
        tree = factors[index][0][1]
        rooted = next(t for t in rootings(tree) if t[0] == "x")
        result.add(rooted[2][0], (*factors[:index], *factors[index + 1 :]), c)
    return result.sum()


# -- samples and canonical form


def _trees_of(term: Term) -> Iterator[Tree]:
    vector, factors = term
    if vector:
        yield vector
    for atom, _ in factors:
        if atom[0] == "t":
            yield atom[1]
        elif atom[0] in "sg":
            for inner, _ in atom[1]:
                yield from _trees_of(inner)


def _highest(tree: Tree, above: int) -> int:
    """The highest derivative of a loss in a tree whose root has ``above`` slots more than children."""
    kind, _, children = tree
    return max([len(children) + above if kind == "f" else 0, *(_highest(child, 1) for child in children)])


def samples(term: Term) -> Counter[int]:
    """How often each minibatch occurs in a term, inside powers and signs, too."""
    return Counter(node[1] for tree in _trees_of(term) for node in nodes(tree) if node[0] == "f")


def bound_samples(term: Term) -> int:
    """How many expectations stand in front of a term."""
    return max((s for s in samples(term) if 0 < s < INNER), default=0)


def relabelled(term: Term, samples: Mapping[int, int]) -> Term:
    """The same term for other minibatches."""
    vector, factors = term
    renamed = []
    for atom, e in factors:
        if atom[0] == "t":
            atom = ("t", scalar(relabel(atom[1], samples)))
        elif atom[0] in "sg":
            atom = (atom[0], tuple(sorted((relabelled(inner, samples), c) for inner, c in atom[1])))
        renamed.append((atom, e))
    return (relabel(vector, samples) if vector else ()), tuple(sorted(renamed))


def _shifted(term: Term, by: int) -> Term:
    """Rename a term's own expectations, so that they are not those of another one."""
    count = bound_samples(term)
    return relabelled(term, {i: i + by for i in range(1, count + 1)}) if by > 0 and count > 0 else term


def _moved(term: Term, by: int) -> Term:
    """Move a term's expectations into the scope of a power or a sign."""
    return relabelled(term, {s: s + by for s in samples(term) if s > 0})


def _canonical(term: Term) -> Term:
    count = bound_samples(term)
    if not count:
        return term
    vector, factors = term
    linear = Counter(
        node[1]
        for tree in [vector, *(atom[1] for atom, e in factors if atom[0] == "t" and e == 1)]
        if tree
        for node in nodes(tree)
        if node[0] == "f"
    )
    occurrences = samples(term)
    bound = [s for s in occurrences if 0 < s < INNER]
    alone = [s for s in bound if occurrences[s] == linear[s] == 1]
    rest = [s for s in bound if s not in alone]
    averaged = dict.fromkeys(alone, MEAN)
    return min(
        relabelled(term, averaged | dict(zip(order, range(1, len(rest) + 1), strict=True)))
        for order in itertools.permutations(rest)
    )


# -- atoms


def _is_unit(tree: Tree) -> bool:
    """``<v, v>`` of a direction."""
    kind, label, children = tree
    return kind == "v" and children == (("v", label, ()),)


def _is_square(tree: Tree) -> bool:
    """``<a, a>``: an edge with the same vector at both of its ends."""
    for rooted in rootings(tree):
        kind, label, children = rooted
        for i, child in enumerate(children):
            if child == (kind, label, children[:i] + children[i + 1 :]) and (not i or children[i - 1] != child):
                return True
    return False


def _is_positive(atom: Atom) -> bool:
    return atom[0] in "an" or (atom[0] == "t" and _is_square(atom[1]))


def _positive(coefficient: Fraction, factors: Factors) -> bool:
    return coefficient > 0 and all(_is_positive(atom) for atom, _ in factors)


def _number_power(c: Fraction, q: Fraction) -> Factors:
    """``c^q`` as powers of primes (and of -1, where ``q`` is whole)."""
    result = [(("n", int(p)), Fraction(int(k)) * q) for p, k in sympy.factorrat(abs(sympy.Rational(c))).items()]
    if c < 0 and q % 2:
        result.append((("n", -1), _ONE))
    return tuple((a, e) for a, e in result if a[1] != 1)
