"""A second truth for the SDE of a recursion: moments of many steps in rational numbers, and what grows in them.

``u_n(z, q) = E psi(z_n)`` of a training that starts at ``(z, q)`` is computed step by step, as a polynomial in the
distance ``z - z_0``, in ``eta`` and ``rho`` and in fast memory ``q``. Along ``n`` each coefficient is a polynomial in
``n`` plus multiples of powers of the memory's factors, which are fitted, in rational numbers, and thrown away. What is
left is the SDE's (theory, section 8): with ``B_0, B_1, S`` those of one step in units of ``eta``,

    E z_n      = z_0 + eta (n B_0 + chi) + eta^2 (n^2 / 2 (D B_0 + d/dt) B_0 + n (B_1 + D B_0 chi) + ...) + ...
    Cov(z_n)   = eta^2 (n S + ...) + ...
"""

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property

from .composed_recursions import Family, execute
from .exact_polynomials import Ring
from .recursions import Trained

__all__ = ["LongRun"]

_MORE = 3
"""Moments beyond those that are fitted: they have to lie on the same curve."""

_ZERO = Fraction(0)


@dataclass(frozen=True, eq=False)
class LongRun:
    """Drift, corrector, correction and covariance of a step of a recursion, by power of ``rho``.

    Args:
        trained: the recursion, and its rate, factors and slow blocks.
        family: the losses and ``x_0``.
        memory: block to its rational coordinates at the start.
        most: the last power of ``rho``.
        given: schedule to (value, derivative) at the start.
        orders: of the minibatches of an epoch, equally likely; None: independent draws.
        single: whether all epochs have the same of these orders.
    """

    trained: Trained
    family: Family
    memory: dict
    most: int
    given: dict
    orders: list | None = None
    single: bool = False

    # -- the polynomials

    @property
    def _blocks(self):
        return self.trained.recursion.blocks

    @cached_property
    def slow(self):
        """Names of the coordinates of slow blocks."""
        return [(name, i) for name in self.trained.slow for i in range(self.family.dim)]

    @cached_property
    def _fast(self):
        return [(name, i) for name in self._blocks if name not in self.trained.slow for i in range(self.family.dim)]

    @cached_property
    def _ring(self):
        names = ["eta", "rho", "time", *self.slow, *self._fast]
        small = 3 + len(self.slow)

        def keeps(powers):
            return powers[1] <= self.most + self.trained.poles and powers[0] + sum(powers[2:small]) <= 2

        return Ring(names, keeps)

    def _moved(self, draws):
        """Every variable after one step."""
        ring = self._ring
        start = {**self.memory, "x": self.family.point}
        state = {}
        for name in self._blocks:
            variables = [ring.variable((name, i)) for i in range(self.family.dim)]
            fixed = start[name] if name in self.trained.slow else [0] * self.family.dim
            state[name] = [ring.plus(ring.number(c), v) for c, v in zip(fixed, variables, strict=True)]
        values = {"eta": ring.variable("eta"), "rho": ring.variable("rho")}
        for name, (value, slope) in self.given.items():
            values[name] = ring.plus(ring.number(value), ring.scaled(ring.variable("time"), slope))
        after = execute(self.trained.recursion, ring, self.family, state, draws, values)
        moved = {}
        for name, vector in after.items():
            fixed = start[name] if name in self.trained.slow else [0] * self.family.dim
            for i, (value, c) in enumerate(zip(vector, fixed, strict=True)):
                moved[name, i] = ring.minus(value, ring.number(c))
        moved["time"] = ring.plus(ring.variable("time"), ring.scaled(ring.variable("eta"), self.trained.rate))
        return [moved[name] for name in ring.names[2:]]

    @cached_property
    def _operators(self):
        """By choice of the draws: the image of each monomial under one step, filled when asked for."""
        recursion = self.trained.recursion
        labels = recursion.draws
        if recursion.distinct:
            choices = itertools.permutations(self.family.members, len(labels))
        else:
            choices = itertools.product(self.family.members, repeat=len(labels))
        found = {}
        for choice in choices:
            moved = self._moved(dict(zip(labels, choice, strict=True)))
            found[choice] = _Operator(self._ring, moved)
        return found

    def _mean(self, function):
        """Of a step with independent draws."""
        return self._averaged([operator(function) for operator in self._operators.values()])

    def _averaged(self, functions):
        return self._ring.scaled(self._ring.plus(*functions), Fraction(1, len(functions)))

    def _along(self, order, function):
        """Of the steps of an epoch in an order: the function after the last step is composed first."""
        for member in reversed(order):
            function = self._operators[member,](function)
        return function

    def _sequence(self, function, count):
        """``E psi`` after 0, 1, ... steps or epochs."""
        if self.orders is None:
            steps = [self._mean]
        elif self.single:
            steps = [lambda f, order=order: self._along(order, f) for order in self.orders]
        else:
            steps = [lambda f: self._averaged([self._along(order, f) for order in self.orders])]
        total = [{} for _ in range(count)]
        for step in steps:
            now = function
            for n in range(count):
                total[n] = self._ring.plus(total[n], self._ring.scaled(now, Fraction(1, len(steps))))
                now = step(now)
        return total

    # -- what grows

    @property
    def _epoch(self):
        return 1 if self.orders is None else len(self.orders[0])

    @cached_property
    def _weights(self):
        """The first moment that is used; weights of moments in the coefficients of ``n^0, n^1, n^2``; and tests."""
        factors = tuple(c**self._epoch for c in self.trained.factors if c)
        first = 4 if _ZERO in self.trained.factors else 0
        return first, _fit(factors, self.most, first)

    def _growth(self, numbers):
        """The coefficients of ``n^0, n^1, n^2``."""
        first, (weights, tests) = self._weights
        numbers = numbers[first:]
        for test in tests:
            assert sum((w * c for w, c in zip(test, numbers, strict=True)), _ZERO) == 0, "not on the fitted curve"
        return [sum((w * c for w, c in zip(row, numbers, strict=True)), _ZERO) for row in weights]

    def _functional(self, polynomial, a, along=None):
        """The coefficients of ``eta^a rho^k``, and of one slow coordinate, at the start, by ``k``."""
        ring, result = self._ring, defaultdict(lambda: _ZERO)
        start = {name: self.memory[name[0]][name[1]] for name in self._fast}
        for powers, c in polynomial.items():
            wanted = [int(name == along) for name in ring.names[2 : 3 + len(self.slow)]]
            if powers[0] == a and list(powers[2 : 3 + len(self.slow)]) == wanted:
                for name, k in zip(self._fast, powers[3 + len(self.slow) :], strict=True):
                    c = c * Fraction(start[name]) ** k
                result[powers[1]] += c
        return [result[k] for k in range(self.most + 1)]

    def _grown(self, function, a, along=None):
        """By power of ``rho``: the coefficients of ``n^0, n^1, n^2`` in units of steps."""
        first, (weights, _) = self._weights
        sequence = self._known_sequence(function)[: first + len(weights[0])]
        found = [self._functional(polynomial, a, along) for polynomial in sequence]
        grown = [self._growth([row[k] for row in found]) for k in range(self.most + 1)]
        return [[c / self._epoch**j for j, c in enumerate(row)] for row in grown]

    @cached_property
    def _sequences(self):
        return {}

    def _known_sequence(self, chosen):
        """Of a product of slow coordinates."""
        if chosen not in self._sequences:
            function = self._ring.product([self._ring.variable(name) for name in chosen])
            first, (weights, _) = self._weights
            self._sequences[chosen] = self._sequence(function, first + len(weights[0]))
        return self._sequences[chosen]

    @cached_property
    def _first(self):
        return {name: self._grown((name,), 1) for name in self.slow}

    @property
    def drift(self):
        """``B_0`` of each slow coordinate, by power of ``rho``."""
        return {name: [row[1] for row in rows] for name, rows in self._first.items()}

    @property
    def corrector(self):
        """``chi`` at the start."""
        return {name: [row[0] for row in rows] for name, rows in self._first.items()}

    def slopes(self, name, other):
        """The derivatives of ``chi`` and of ``B_0`` along a coordinate, by power of ``rho``."""
        return [row[:2] for row in self._grown((name,), 1, other)]

    @cached_property
    def correction(self):
        """``B_1``."""
        result = {}
        for name in self.slow:
            found = [row[1] for row in self._grown((name,), 2)]
            for other in self.slow:
                slope = [row[1] for row in self.slopes(name, other)]
                for i, j in itertools.product(range(self.most + 1), repeat=2):
                    if i + j <= self.most:
                        found[i + j] -= slope[i] * self.corrector[other][j]
            result[name] = found
        return result

    @cached_property
    def covariance(self):
        """``S`` by pairs of slow coordinates."""
        result = {}
        for one, other in itertools.combinations_with_replacement(self.slow, 2):
            found = [row[1] for row in self._grown((one, other), 2)]
            for i, j in itertools.product(range(self.most + 1), repeat=2):
                if i + j <= self.most:
                    found[i + j] -= self.drift[one][i] * self.corrector[other][j]
                    found[i + j] -= self.corrector[one][i] * self.drift[other][j]
            result[one, other] = found
        return result


class _Operator:
    """Functions composed with one step: linear, and powers of ``eta`` and ``rho`` stay outside."""

    def __init__(self, ring, moved):
        self.ring, self.moved, self.images = ring, moved, {}

    def _image(self, powers):
        if powers not in self.images:
            i = next((i for i, k in enumerate(powers) if k), None)
            if i is None:
                self.images[powers] = self.ring.one
            else:
                rest = (*powers[:i], powers[i] - 1, *powers[i + 1 :])
                self.images[powers] = self.ring.times(self._image(rest), self.moved[i])
        return self.images[powers]

    def __call__(self, function):
        total = {}
        keeps = self.ring.keeps
        for powers, c in function.items():
            a, k = powers[:2]
            for image, value in self._image(powers[2:]).items():
                monomial = (image[0] + a, image[1] + k, *image[2:])
                if keeps(monomial):
                    total[monomial] = total.get(monomial, _ZERO) + c * value
        return {monomial: c for monomial, c in total.items() if c}


@cache
def _fit(factors, most, first):
    """Of sequences of polynomials in ``n`` and of ``n^k`` times products of the factors' powers ``^n``."""
    modes = [(Fraction(1), k) for k in range(3)]
    found = set()
    for powers in itertools.product(range(most + 3), repeat=len(factors)):
        if 0 < sum(powers) <= most + 2:
            found.add(math.prod((c**k for c, k in zip(factors, powers, strict=True)), start=Fraction(1)))
    modes += [(factor, k) for factor in sorted(found) for k in range(most + 3)]
    rows = [[Fraction(n) ** k * factor**n for factor, k in modes] for n in range(first, first + len(modes) + _MORE)]
    return _dual(rows, range(3))


def _dual(rows, wanted):
    """Weights of rows that give wanted coefficients of the columns, and combinations of rows that vanish."""
    count, width = len(rows), len(rows[0])
    work = [[*row, *(Fraction(int(i == j)) for j in range(count))] for i, row in enumerate(rows)]
    for column in range(width):
        pivot = next(i for i in range(column, count) if work[i][column])
        work[column], work[pivot] = work[pivot], work[column]
        scale = 1 / work[column][column]
        work[column] = [c * scale for c in work[column]]
        for i in range(count):
            if i != column and work[i][column]:
                factor = work[i][column]
                work[i] = [a - factor * b for a, b in zip(work[i], work[column], strict=True)]
    return [work[i][width:] for i in wanted], [work[i][width:] for i in range(width, count)]
