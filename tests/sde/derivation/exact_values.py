"""The value of an expression of the engine in rational numbers, on polynomial losses: trees contracted one by one."""

import itertools
import math
from fractions import Fraction

from eigensam.sde.algebra.terms import CONTRACTION, NESTED, NUMBER, PARAMETER, SIGN, samples
from eigensam.sde.algebra.trees import DIRECTION, EMPTY, INTO, LOSS, MEAN, STATE

from .exact_polynomials import root

__all__ = ["Values"]

_INNER = 1000


class Values:
    """Numbers of expressions at a point.

    Args:
        family: the losses and the point.
        blocks: state to its rational coordinates.
        given: parameter, schedule or direction to its value.
    """

    def __init__(self, family, blocks, given=None):
        self.family, self.given = family, given or {}
        self.blocks = {**blocks, "x": family.point}
        self.tensors = {}

    def vector(self, expression, draws=None):
        """Coordinates for a choice of the step's minibatches, number to member."""
        return self._total(expression.terms.items(), draws or {}, 0) or [Fraction(0)] * self.family.dim

    def scalar(self, expression, draws=None):
        found = self._total(expression.terms.items(), draws or {}, 0)
        return found[0] if found else Fraction(0)

    def _total(self, terms, chosen, level):
        """Averaged over the terms' own minibatches, those of one level of nesting."""
        total = []
        for term, c in terms:
            own = sorted(s for s in samples(term) if level * _INNER < s < (level + 1) * _INNER and s not in chosen)
            count = len(self.family.members) ** len(own)
            for members in itertools.product(self.family.members, repeat=len(own)):
                one = self._term(term, {**chosen, **dict(zip(own, members, strict=True))}, level)
                total = [a + c * b / count for a, b in zip(total or [Fraction(0)] * len(one), one, strict=True)]
        return total

    def _term(self, term, chosen, level):
        vector, factors = term
        powers = []
        for (kind, value), e in factors:
            if kind == CONTRACTION:
                base = self._contracted(value, chosen)
            elif kind == NUMBER:
                base = Fraction(value)
            elif kind == PARAMETER:
                base = Fraction(self.given[value])
            else:
                assert kind in NESTED
                base = self._total(value, chosen, level + 1)[0]
                base = Fraction((base > 0) - (base < 0)) if kind == SIGN else base
            powers.append((base, e))
        scale = _product(powers)
        return [scale * c for c in self._vector(vector, chosen)] if vector else [scale]

    def _vector(self, tree, chosen):
        kind, label, children = tree
        assert kind != EMPTY
        if kind == LOSS:
            arguments = [self._vector(child, chosen) for child in children]
            return [self._derivative(label, arguments, (j,), chosen) for j in range(self.family.dim)]
        if kind == STATE:
            assert not children
            return list(self.blocks[label])
        assert kind == DIRECTION
        return list(self.given[label])

    def _contracted(self, tree, chosen):
        kind, label, children = tree
        assert kind != INTO
        if kind == LOSS:
            return self._derivative(label, [self._vector(child, chosen) for child in children], (), chosen)
        (child,) = children
        pair = zip(self._vector((kind, label, ()), chosen), self._vector(child, chosen), strict=True)
        return sum((a * b for a, b in pair), Fraction(0))

    def _derivative(self, label, arguments, free, chosen):
        total = Fraction(0)
        for indices in itertools.product(range(self.family.dim), repeat=len(arguments)):
            weight = math.prod(a[i] for a, i in zip(arguments, indices, strict=True))
            if weight:
                total += weight * self._entry(label if label == MEAN else chosen[label], (*free, *indices))
        return total

    def _entry(self, member, indices):
        key = member, tuple(sorted(indices))
        if key not in self.tensors:
            members = self.family.members
            if member == MEAN:
                self.tensors[key] = sum((self._entry(m, indices) for m in members), Fraction(0)) / len(members)
            else:
                self.tensors[key] = Fraction(self.family.number(member, indices))
        return self.tensors[key]


def _product(powers):
    """Of rational powers that is rational as a whole: each may be a root that is not."""
    denominator = math.lcm(*(e.denominator for _, e in powers))
    if denominator == 1:
        return math.prod((base ** int(e) for base, e in powers), start=Fraction(1))
    assert all(base > 0 or e.denominator == 1 for base, e in powers)
    negative = sum(1 for base, e in powers if base < 0 and e % 2 == 1) % 2
    inside = math.prod((abs(base) ** int(e * denominator) for base, e in powers), start=Fraction(1))
    return root(inside, Fraction(1, denominator)) * (-1 if negative else 1)
