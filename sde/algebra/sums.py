"""Exact expressions: sums of terms, as dictionaries from canonical terms to rational coefficients.

Equal terms have equal keys (:mod:`.terms`), so an identity is proved when a difference is the empty dictionary.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property

from ...ground.errors import InputError
from ..rules.names import check_symbol
from .printing import latex, text
from .terms import (
    CONTRACTION,
    INNER,
    PARAMETER,
    SIGN,
    SUM,
    Collector,
    Factors,
    Term,
    bound_samples,
    differentiated,
    highest_derivative,
    is_positive,
    moved,
    number_power,
    relabelled,
    shifted,
)
from .trees import EMPTY, GAMMA, POSITION, SLOT, Tree, attach, direction, fill, loss, nodes, rootings, state

__all__ = ["Sum"]

_ONE = Fraction(1)


class Sum:
    """A scalar or a vector: ``sum_i c_i E[factors_i * vector_i]`` with rational ``c_i``.

    Built with :meth:`number`, :meth:`parameter`, :meth:`direction`, :meth:`derivative` and arithmetic; compared with
    ``==``, which is exact: canonical forms are compared.

    Example:
        The drift of USAM is a gradient, ``E[H g] = 1/2 grad E|g|^2``:

        >>> from eigensam.sde.algebra.sums import Sum
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
        return Sum({((), (((PARAMETER, check_symbol(name)), _ONE),)): _ONE})

    @staticmethod
    def direction(name: str) -> "Sum":
        """A constant unit vector."""
        return Sum({(direction(check_symbol(name)), ()): _ONE})

    @staticmethod
    def state(name: str) -> "Sum":
        """A block of the state, a vector: the position ``x``, or a memory such as a momentum buffer."""
        return Sum({(state(name), ()): _ONE})

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
        return text(self)

    def _repr_latex_(self) -> str:
        return f"${latex(self)}$"

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
        return max((highest_derivative(term) for term in self.terms), default=0)

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
        result = Collector()
        for (v1, f1), c1 in self.terms.items():
            shift = bound_samples((v1, f1))
            for term, c2 in other.terms.items():
                v2, f2 = shifted(term, shift)
                if v1 and v2:
                    raise TypeError("a product of two vectors; use inner")
                result.add(v1 or v2, (*f1, *f2), c1 * c2)
        return Sum(result.terms)

    def inner(self, other: "Sum") -> "Sum":
        """``<a, b>`` of two vectors."""
        result = Collector()
        for (v1, f1), c1 in self.terms.items():
            shift = bound_samples((v1, f1))
            for term, c2 in other.terms.items():
                v2, f2 = shifted(term, shift)
                if not v1 or not v2:
                    raise TypeError("an inner product needs two vectors")
                result.add((), (((CONTRACTION, attach(v1, v2)), _ONE), *f1, *f2), c1 * c2)
        return Sum(result.terms)

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
            if not bound_samples(((), factors)) and (
                q.denominator == 1 or (coefficient > 0 and all(is_positive(atom) for atom, _ in factors))
            ):
                raised = tuple((atom, e * q) for atom, e in factors)
                return Sum(Collector().add((), (*raised, *number_power(coefficient, q)), _ONE).terms)
            if coefficient < 0 and all(is_positive(atom) for atom, _ in factors):
                raise InputError(f"the power {q} of {self}, which is negative")
        content = self._content()
        base = Sum({moved(term, INNER): c / content for term, c in self.terms.items()})
        return Sum(Collector().add((), (((SUM, base.key), q), *number_power(content, q)), _ONE).terms)

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
                odd = tuple((atom, _ONE) for atom, e in term[1] if not is_positive(atom) and e % 2 == 1)
                base = Sum({((), odd): _ONE})
                if not odd:
                    return outside
        base = Sum({moved(term, INNER): c for term, c in base.terms.items()})
        return outside * Sum({((), (((SIGN, base.key), _ONE),)): _ONE})

    # -- expectation

    def mean(self) -> "Sum":
        """``E`` over the minibatch of this step."""
        result = Collector()
        for term, c in self.terms.items():
            vector, factors = relabelled(term, {GAMMA: bound_samples(term) + 1})
            result.add(vector, factors, c)
        return Sum(result.terms)

    # -- derivatives

    def gradient(self) -> "Sum":
        """``grad_x`` of a scalar, a vector; directions are constant."""
        return _open(self.differentiated())

    def differentiated(self, slot: Tree = SLOT, block: str = POSITION) -> "Sum":
        """The derivative in a block of the state, with an empty slot where the direction belongs; see :meth:`fill`."""
        result = Collector()
        for (vector, factors), c in self.terms.items():
            for tree, product, ci in differentiated(vector, factors, slot, block):
                result.add(tree, product, c * ci)
        return Sum(result.terms)

    def along(self, vector: "Sum", block: str = POSITION) -> "Sum":
        """The derivative in the direction of a vector that depends on ``x`` but is held constant here."""
        return self.differentiated(block=block).fill(vector)

    def fill(self, vector: "Sum", slot: Tree = SLOT) -> "Sum":
        """Put a vector into the empty slot that each term has once."""
        result = Collector()
        for (v1, f1), c1 in self.terms.items():
            shift = bound_samples((v1, f1))
            for term, c2 in vector.terms.items():
                v2, f2 = shifted(term, shift)
                if not v2:
                    raise TypeError("a scalar where a vector is expected")
                tree = fill(v1, v2, slot) if v1 else ()
                factors = tuple(((a[0], fill(a[1], v2, slot)) if a[0] == CONTRACTION else a, e) for a, e in f1)
                result.add(tree, (*factors, *f2), c1 * c2)
        return Sum(result.terms)

    def replaced(self, scalar_values: Callable[[Tree], "Sum | None"]) -> "Sum":
        """Replace scalar trees by values, where the function has one; for assumptions such as ``H v = lambda v``."""
        result = Collector()
        for (vector, factors), c in self.terms.items():
            products: list[tuple[Factors, Fraction]] = [((), c)]
            for atom, e in factors:
                value = scalar_values(atom[1]) if atom[0] == CONTRACTION else None
                choices = {((), ((atom, e),)): _ONE} if value is None else value.power(e).terms
                products = [((*f, *more), a * b) for f, a in products for (_, more), b in choices.items()]
            for product, a in products:
                result.add(vector, product, a)
        return Sum(result.terms)


def _multilinear(build: Callable[..., Tree], arguments: tuple[Sum, ...]) -> Sum:
    """A tree over the trees of the arguments, for every combination of their terms."""
    result = Collector()
    for combination in itertools.product(*(a.terms.items() for a in arguments)):
        trees: list[Tree] = []
        factors: Factors = ()
        coefficient, shift = _ONE, 0
        for term, c in combination:
            vector, f = shifted(term, shift)
            if not vector:
                raise TypeError("a scalar where a vector is expected")
            shift += bound_samples(term)
            trees.append(vector)
            factors = (*factors, *f)
            coefficient *= c
        result.add(build(*trees), factors, coefficient)
    return Sum(result.terms)


def _scalars(vectors: Sum) -> Sum:
    """Read each tree as a scalar: its root has no open slot."""
    result = Collector()
    for (vector, factors), c in vectors.terms.items():
        assert vector
        result.add((), (((CONTRACTION, vector), _ONE), *factors), c)
    return Sum(result.terms)


def _open(filled: Sum) -> Sum:
    """Turn scalars with one empty slot into the vectors that they are linear in."""
    result = Collector()
    for (_, factors), c in filled.terms.items():
        (index,) = [i for i, (atom, _) in enumerate(factors) if atom[0] == CONTRACTION and SLOT in nodes(atom[1])]
        tree = factors[index][0][1]
        rooted = next(t for t in rootings(tree) if t[0] == EMPTY)
        result.add(rooted[2][0], (*factors[:index], *factors[index + 1 :]), c)
    return Sum(result.terms)
