"""A second truth for expansions: rules composed with polynomial losses in exact power-series arithmetic.

Nothing of the engine is used but the rules' expressions. Losses are polynomials with rational coefficients; the point
is rational; ``w_m = 1/|grad f_m(x)|`` (and ``w`` of the mean loss) are symbols with ``w^2 = 1/s``, ``s`` rational, so
that all is a polynomial in ``rho`` and the ``w`` with rational coefficients. Roots and quotients of power series
are those of ``sympy.polys.ring_series``.
"""

import itertools
import random
from fractions import Fraction

import sympy
from sympy import QQ
from sympy.polys.ring_series import rs_pow, rs_trunc
from sympy.polys.rings import ring

from eigensam.sde.rules import nodes as lang

ORDER = 5  # series are exact below rho^ORDER


def random_polynomial(symbols, degree, seed):
    """Rational coefficients, random monomials up to a degree, and a linear part that keeps the gradient off zero."""
    draw = random.Random(seed)
    every = [p for p in itertools.product(range(degree + 1), repeat=len(symbols)) if 1 < sum(p) <= degree]
    highest = [p for p in every if sum(p) == degree]
    total = 11 * symbols[0]
    for powers in [*draw.sample(every, min(len(every), 7 if len(symbols) < 3 else 4)), draw.choice(highest)]:
        c = sympy.Rational(draw.choice([-1, 1]) * draw.randint(1, 9), draw.randint(1, 9))
        total += c * sympy.prod(x**k for x, k in zip(symbols, powers, strict=True))
    return total


class Composed:
    """The coefficients of ``rho^0 .. rho^4`` of ``-direction`` at a rational point, per member, as exact numbers."""

    def __init__(self, symbols, losses, point, values):
        self.symbols, self.losses, self.point, self.values = symbols, losses, point, values
        self.members = len(losses)
        names = ["rho", *(f"w{m}" for m in range(self.members)), "w"]
        self.ring, *generators = ring(names, QQ)
        self.rho, self.w = generators[0], generators[1:]
        at = dict(zip(symbols, point, strict=True))
        mean = sum(losses) / len(losses)
        self.s = [QQ.from_sympy(sum(sympy.diff(loss, x).subs(at) ** 2 for x in symbols)) for loss in [*losses, mean]]
        self.cache = {}

    def coefficients(self, direction):
        result = []
        for component in self._members(direction):
            series = [-self._reduced(c) for c in component]
            result.append([[self._number(self._at_rho(c, k)) for c in series] for k in range(ORDER)])
        return result

    # -- exact numbers

    def _at_rho(self, c, k):
        return {monom[1:]: coefficient for monom, coefficient in c.terms() if monom[0] == k}

    def _number(self, terms):
        total = sympy.Integer(0)
        for powers, coefficient in terms.items():
            term = QQ.to_sympy(coefficient)
            for s, k in zip(self.s, powers, strict=True):
                term *= sympy.sqrt(1 / QQ.to_sympy(s)) ** k
            total += term
        return sympy.expand(total)

    def _reduced(self, c):
        """``w^2 = 1/s``."""
        terms = {}
        for monom, coefficient in c.terms():
            powers = list(monom)
            for i, s in enumerate(self.s):
                coefficient /= s ** (powers[i + 1] // 2)
                powers[i + 1] %= 2
            terms[tuple(powers)] = terms.get(tuple(powers), QQ(0)) + coefficient
        return rs_trunc(self.ring.from_dict({k: v for k, v in terms.items() if v}), self.rho, ORDER)

    def _times(self, a, b):
        return self._reduced(a * b)

    # -- the language

    def _members(self, node):
        if node not in self.cache:
            self.cache[node] = [self._value(node, m) for m in range(self.members)]
        return self.cache[node]

    def _value(self, node, m):
        def of(part):
            return self._members(part)[m]

        match node:
            case lang.Number(value):
                return self.ring(QQ(value.numerator, value.denominator))
            case lang.Parameter("rho"):
                return self.rho
            case lang.Parameter(name) | lang.Direction(name):
                value = self.values[name]
                return (
                    [self.ring(QQ.from_sympy(v)) for v in value]
                    if isinstance(value, list)
                    else self.ring(QQ.from_sympy(value))
                )
            case lang.Add(parts):
                values = [of(part) for part in parts]
                if isinstance(values[0], list):
                    return [sum(column, self.ring(0)) for column in zip(*values, strict=True)]
                return sum(values, self.ring(0))
            case lang.Multiply(parts):
                result = of(parts[-1])
                for part in parts[:-1]:
                    c = of(part)
                    result = [self._times(c, r) for r in result] if isinstance(result, list) else self._times(c, result)
                return result
            case lang.Mean(inside):
                values = self._members(inside)
                if isinstance(values[0], list):
                    return [sum(column, self.ring(0)) * QQ(1, self.members) for column in zip(*values, strict=True)]
                return sum(values, self.ring(0)) * QQ(1, self.members)
            case lang.Inner(left, right):
                return self._reduced(sum(a * b for a, b in zip(of(left), of(right), strict=True)))
            case lang.Norm(vector):
                return self._power(self._reduced(sum(a * a for a in of(vector))), Fraction(1, 2))
            case lang.Power(lang.Parameter("rho"), exponent) if exponent >= 0:
                return self.rho ** int(exponent)
            case lang.Power(base, exponent):
                return self._power(of(base), exponent)
            case lang.Sign(scalar):
                return self.ring(QQ(1 if self._number(self._at_rho(of(scalar), 0)) > 0 else -1))
            case lang.Derivative(shift, arguments):
                return self._derivative(m, shift, [of(a) for a in arguments], of)
        raise TypeError(node)

    def _power(self, series, exponent):
        """``(c0 + c1 rho + ...)^q``: ``c0`` is a rational, or a rational times one power of one ``w``."""
        head = {k: v for k, v in series.terms() if k[0] == 0}
        assert len(head) == 1, head
        ((monom, c0),) = head.items()
        inverse = self.ring(1 / c0)
        for i, k in enumerate(monom[1:]):
            inverse *= (self.w[i] * self.s[i]) ** k  # 1/w = w s
        rest = self._reduced(series * inverse)
        powered = rs_pow(rest, sympy.Rational(exponent.numerator, exponent.denominator), self.rho, ORDER)
        root = self.ring(1)
        for i, k in enumerate(monom[1:]):
            q = k * exponent
            assert q.denominator == 1
            root *= self.w[i] ** int(q) if q >= 0 else (self.w[i] * self.s[i]) ** int(-q)
        if exponent.denominator == 1:
            return self._reduced(powered * root * c0 ** int(exponent))
        if c0 in self.s:  # a norm at rho = 0: sqrt(s) = w s
            i = self.s.index(c0)
            half = int(exponent * 2)
            return self._reduced(powered * root * ((self.w[i] * c0) ** half if half >= 0 else self.w[i] ** -half))
        numerator, denominator = (
            sympy.integer_nthroot(int(c0.numerator), 2),
            sympy.integer_nthroot(int(c0.denominator), 2),
        )
        assert numerator[1], c0
        assert denominator[1], c0
        return self._reduced(powered * root * QQ(int(numerator[0]), int(denominator[0])) ** int(exponent * 2))

    def _derivative(self, m, shift, arguments, of):
        d = len(self.symbols)
        moved = [self.ring(QQ.from_sympy(p)) for p in self.point]
        if shift is not None:
            moved = [a + b for a, b in zip(moved, of(shift), strict=True)]
        result = []
        for j in range(d):
            total = self.ring(0)
            for indices in itertools.product(range(d), repeat=len(arguments)):
                partial = sympy.diff(self.losses[m], self.symbols[j], *(self.symbols[i] for i in indices))
                term = self._substituted(partial, moved)
                for argument, i in zip(arguments, indices, strict=True):
                    term = self._times(term, argument[i])
                total += term
            result.append(total)
        return result

    def _substituted(self, polynomial, moved):
        total = self.ring(0)
        for powers, coefficient in sympy.Poly(polynomial, *self.symbols).terms():
            term = self.ring(QQ.from_sympy(coefficient))
            for base, k in zip(moved, powers, strict=True):
                for _ in range(k):
                    term = self._times(term, base)
            total += term
        return total
