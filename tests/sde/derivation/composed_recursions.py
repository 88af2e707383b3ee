"""A second truth for recursions: their statements executed one after the other, in exact polynomial arithmetic.

Nothing of the engine is used but the statements' expressions. Losses are polynomials with rational coefficients whose
gradients at a rational point have rational norms, so that all is rational.
"""

import itertools
import math
import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from eigensam.sde.rules import nodes as lang
from eigensam.sde.rules.leaves import Scheduled, State
from eigensam.sde.rules.traversal import walk

from .exact_polynomials import Ring

__all__ = ["Family", "execute", "family", "labels_within", "memory_of", "one_step"]

_GRADIENTS = {
    1: [(3,), (-2,), (Fraction(5, 2),)],
    2: [(3, 4), (-5, 12), (8, -15)],
    3: [(1, 2, 2), (2, -3, 6), (-1, 4, 8)],
}
_TENTH = Fraction(1, 10)
_WEIGHTS = [Fraction(1, 3), Fraction(-1, 2), Fraction(2, 5), 1, Fraction(-3, 4)]


@dataclass(frozen=True, eq=False)
class Family:
    """Polynomial losses: per member a dictionary from exponents to coefficients.

    Attributes:
        losses: one per minibatch.
        point: rational coordinates.
    """

    losses: tuple
    point: tuple

    @property
    def dim(self):
        return len(self.point)

    @property
    def members(self):
        return range(len(self.losses))

    @cached_property
    def partials(self):
        """(member, sorted coordinates) to the polynomial that this derivative is."""
        return {(m, ()): loss for m, loss in enumerate(self.losses)}

    def partial(self, member, indices):
        indices = tuple(sorted(indices))
        if (member, indices) not in self.partials:
            i = indices[-1]
            self.partials[member, indices] = {
                (*powers[:i], powers[i] - 1, *powers[i + 1 :]): c * powers[i]
                for powers, c in self.partial(member, indices[:-1]).items()
                if powers[i]
            }
        return self.partials[member, indices]

    def number(self, member, indices):
        """That derivative at the point."""
        return sum(
            c * math.prod(Fraction(x) ** k for x, k in zip(self.point, powers, strict=True))
            for powers, c in self.partial(member, indices).items()
        )


def family(dim, members=2, degree=4, seed=1):
    """Random monomials up to a degree about a random point, with gradients there that have rational norms."""
    draw = random.Random(100 * dim + seed)
    point = tuple(Fraction(draw.randint(-3, 3), 2) + Fraction(1, 3) for _ in range(dim))
    every = [p for p in itertools.product(range(degree + 1), repeat=dim) if 1 < sum(p) <= degree]
    losses = []
    for m in range(members):
        chosen = every if dim == 1 else [*draw.sample(every, 7), draw.choice([p for p in every if sum(p) == degree])]
        loss = {powers: draw.choice(_WEIGHTS) * Fraction(1, 1 + sum(powers)) for powers in chosen}
        found = Family((loss,), point)
        for i, wanted in enumerate(_GRADIENTS[dim][m % 3]):
            unit = tuple(int(i == j) for j in range(dim))
            loss[unit] = Fraction(wanted) * (1 + m // 3) - found.number(0, (i,))
        losses.append(loss)
    return Family(tuple(losses), point)


def memory_of(recursion, dim):
    """Rational coordinates of every block but ``x``."""
    blocks = recursion.blocks[1:]
    return {name: tuple(Fraction(i + 2, 3 * j + 2) for i in range(dim)) for j, name in enumerate(blocks)}


def labels_within(expression):
    """Of the minibatches that an expression depends on."""
    return sorted({node.draw for node in walk(expression) if isinstance(node, lang.Derivative | lang.Loss)})


@dataclass(frozen=True, eq=False)
class _Machine:
    """Values of expressions: lists of polynomials for vectors, polynomials for scalars."""

    ring: Ring
    family: Family
    state: dict
    draws: dict
    values: dict

    def value(self, node):
        ring = self.ring
        match node:
            case lang.Number(value):
                return ring.number(value)
            case State(name):
                return self.state[name]
            case Scheduled(name) | lang.Parameter(name) | lang.Direction(name):
                return self.values[name]
            case lang.Add(parts):
                values = [self.value(part) for part in parts]
                if isinstance(values[0], list):
                    return [ring.plus(*column) for column in zip(*values, strict=True)]
                return ring.plus(*values)
            case lang.Multiply(parts):
                values = [self.value(part) for part in parts]
                scalar = ring.product([value for value in values if not isinstance(value, list)])
                vectors = [value for value in values if isinstance(value, list)]
                return [ring.times(scalar, c) for c in vectors[0]] if vectors else scalar
            case lang.Mean(inside):
                labels = labels_within(inside)
                all_draws = list(itertools.product(self.family.members, repeat=len(labels)))
                values = [self._drawn(dict(zip(labels, found, strict=True))).value(inside) for found in all_draws]
                share = Fraction(1, len(values))
                if isinstance(values[0], list):
                    return [ring.scaled(ring.plus(*column), share) for column in zip(*values, strict=True)]
                return ring.scaled(ring.plus(*values), share)
            case lang.Inner(left, right):
                return self._inner(self.value(left), self.value(right))
            case lang.Norm(vector):
                found = self.value(vector)
                return ring.power(self._inner(found, found), Fraction(1, 2))
            case lang.Power(lang.Parameter("rho"), exponent) if exponent < 0:
                ((powers, c),) = self.values["rho"].items()
                return {tuple(int(k * exponent) for k in powers): c}
            case lang.Power(base, exponent):
                return ring.power(self.value(base), exponent)
            case lang.Sign(scalar):
                head = self.value(scalar)[(0,) * len(ring.names)]
                return ring.number(1 if head > 0 else -1)
            case lang.Loss(shift, draw):
                return self._at(shift, self.family.partial(self.draws[draw], ()))
            case lang.Derivative(shift, arguments, draw):
                return self._derivative(shift, [self.value(a) for a in arguments], self.draws[draw])
        raise TypeError(node)

    def _drawn(self, draws):
        return _Machine(self.ring, self.family, self.state, {**self.draws, **draws}, self.values)

    def _inner(self, left, right):
        return self.ring.plus(*(self.ring.times(a, b) for a, b in zip(left, right, strict=True)))

    def _at(self, shift, polynomial):
        place = self.state["x"]
        if shift is not None:
            place = [self.ring.plus(a, b) for a, b in zip(place, self.value(shift), strict=True)]
        powers = [[self.ring.one] for _ in place]
        terms = []
        for exponents, c in polynomial.items():
            for base, known, k in zip(place, powers, exponents, strict=True):
                while len(known) <= k:
                    known.append(self.ring.times(known[-1], base))
            factors = [known[k] for known, k in zip(powers, exponents, strict=True) if k]
            terms.append(self.ring.scaled(self.ring.product(factors), c))
        return self.ring.plus(*terms)

    def _derivative(self, shift, arguments, member):
        result = []
        for j in range(self.family.dim):
            terms = []
            for indices in itertools.product(range(self.family.dim), repeat=len(arguments)):
                factors = [argument[i] for argument, i in zip(arguments, indices, strict=True)]
                term = self._at(shift, self.family.partial(member, (j, *indices)))
                terms.append(self.ring.times(self.ring.product(factors), term))
            result.append(self.ring.plus(*terms))
        return result


def execute(recursion, ring, family_, state, draws, values):
    """Blocks after one step: every statement sees what those before it have done.

    Args:
        recursion: whose statements.
        ring: of the coordinates.
        family_: the losses.
        state: block to its coordinates.
        draws: label to member.
        values: of parameters, schedules and directions, as polynomials.
    """
    state = dict(state)
    for name, expression in recursion.statements:
        state[name] = _Machine(ring, family_, state, draws, values).value(expression)
    return {name: state[name] for name in recursion.blocks}


def one_step(recursion, family_, memory, draws, values, most):
    """``{block: {(a, k): vector}}``: new values at the family's point as series in ``eta`` and ``rho``.

    Args:
        recursion: whose step.
        family_: the losses.
        memory: block to its rational coordinates.
        draws: label to member.
        values: of parameters, schedules and directions, rational.
        most: whether a power ``(a, k)`` is kept.
    """
    ring = Ring(["eta", "rho"], lambda powers: most(*powers))
    state = {name: [ring.number(c) for c in vector] for name, vector in {**memory, "x": family_.point}.items()}
    bound = {
        name: [ring.number(c) for c in value] if isinstance(value, tuple) else ring.number(value)
        for name, value in values.items()
    }
    bound |= {"eta": ring.variable("eta"), "rho": ring.variable("rho")}
    found = execute(recursion, ring, family_, state, draws, bound)
    result = {}
    for name, vector in found.items():
        powers = {monomial for component in vector for monomial in component}
        result[name] = {power: [component.get(power, Fraction(0)) for component in vector] for power in powers}
    return result
