"""Truncated polynomials with rational coefficients: the numbers of the second truth for recursions."""

import math
from fractions import Fraction

__all__ = ["Ring", "root"]

_ZERO, _ONE = Fraction(0), Fraction(1)


def root(value, exponent):
    """``value^exponent`` of a rational, where that is rational."""
    q = Fraction(exponent)
    if q.denominator == 1:
        return Fraction(value) ** int(q)
    assert q.denominator == 2, q
    found = [math.isqrt(part) for part in (value.numerator, value.denominator)]
    assert [part**2 for part in found] == [value.numerator, value.denominator], f"{value} is not a square"
    return Fraction(*found) ** q.numerator


class Ring:
    """Polynomials in named variables as dictionaries from exponents to coefficients, cut off by a predicate.

    Args:
        names: of the variables.
        keeps: whether a monomial is kept; of a product it keeps no more than of its factors.
        small: variables without which nothing but a number remains, so that a power is a binomial series.
    """

    def __init__(self, names, keeps):
        self.names, self.keeps = list(names), keeps
        self.one = {(0,) * len(self.names): _ONE}

    def number(self, value):
        return {(0,) * len(self.names): Fraction(value)} if value else {}

    def variable(self, name):
        exponents = tuple(int(name == other) for other in self.names)
        return {exponents: _ONE} if self.keeps(exponents) else {}

    def plus(self, *parts):
        total = {}
        for part in parts:
            for monomial, c in part.items():
                total[monomial] = total.get(monomial, _ZERO) + c
        return {monomial: c for monomial, c in total.items() if c}

    def scaled(self, a, c):
        return {monomial: value * c for monomial, value in a.items()} if c else {}

    def minus(self, a, b):
        return self.plus(a, self.scaled(b, -1))

    def times(self, a, b):
        if len(a) > len(b):
            a, b = b, a
        total = {}
        keeps = self.keeps
        for left, c in a.items():
            for right, d in b.items():
                monomial = tuple(map(int.__add__, left, right))
                if keeps(monomial):
                    total[monomial] = total.get(monomial, _ZERO) + c * d
        return {monomial: c for monomial, c in total.items() if c}

    def product(self, parts):
        result = self.one
        for part in parts:
            result = self.times(result, part)
        return result

    def power(self, a, exponent):
        """The binomial series about the constant term, whose power is rational."""
        q = Fraction(exponent)
        if q.denominator == 1 and q >= 0:
            return self.product([a] * int(q))
        origin = (0,) * len(self.names)
        head = a[origin]
        rest = self.scaled({monomial: c for monomial, c in a.items() if monomial != origin}, 1 / head)
        result, term, binomial, j = self.one, self.one, _ONE, 0
        while term := self.times(term, rest):
            binomial *= (q - j) / (j + 1)
            result = self.plus(result, self.scaled(term, binomial))
            j += 1
            assert j < 60, "not nilpotent"
        return self.scaled(result, root(head, q))
