"""What the engine derives of a recursion, in rational numbers, beside the long run's."""

import itertools
from fractions import Fraction

from eigensam.sde.algebra.sums import Sum
from eigensam.sde.derivation.averaging.recursion_parts import RecursionParts, by_block
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Independent, SingleShuffle

from .composed_recursions import family, memory_of
from .exact_values import Values
from .long_run import LongRun

__all__ = ["Derived", "both", "check"]

ONE = Fraction(1)
SLOPES = {"s": (Fraction(2, 3), Fraction(-3, 7))}
GIVEN = {"s": Fraction(2, 3), "s'": Fraction(-3, 7)}


class Derived:
    """What the engine derives, in numbers by coordinate and power of ``rho``, in units of a step of the recursion."""

    def __init__(self, trained, losses, memory, most):
        self.trained, self.losses, self.most = trained, losses, most
        self.parts = RecursionParts(trained.recursion, ONE)
        self.values = Values(losses, memory, GIVEN)
        self.rate = self.parts.rate * trained.recursion.inner_steps
        self.scale = self.rate**2 / trained.recursion.inner_steps

    def coordinates(self, powers, scale=1, draws=None):
        found = {(name, i): [Fraction(0)] * (self.most + 1) for name in self.trained.slow for i in range(self.dim)}
        for k, expression in powers.items():
            for name, part in by_block(expression).items():
                for i, c in enumerate(self.values.vector(part, draws)):
                    found[name, i][k] = c * scale
        return found

    @property
    def dim(self):
        return self.losses.dim

    @property
    def drift(self):
        powers = {k: h.mean() for k, h in self.parts.increments(self.most + 1).items()}
        return self.coordinates(powers, self.rate)

    @property
    def corrector(self):
        found = self.parts.effective(ONE + self.most).corrector
        result = self.coordinates({})
        for name, powers in found.items():
            for k, chi in powers.items():
                for i, c in enumerate(self.values.vector(chi) if k <= self.most else []):
                    result[name, i][k] = c
        return result

    @property
    def correction(self):
        return self.coordinates(self.parts.correction(self.most + 1), self.scale)

    def covariance(self, count):
        radical = Sum.number(self.trained.radical).power(Fraction(1, 2))
        powers = {k: h * radical for k, h in self.parts.covariance(count).items()}
        members = [self.coordinates(powers, 1, {0: m}) for m in self.losses.members]
        result = {}
        for one, other in itertools.combinations_with_replacement(list(members[0]), 2):
            result[one, other] = [
                sum(covariance([h[one][i] for h in members], [h[other][k - i] for h in members]) for i in range(k + 1))
                * self.scale
                / self.trained.radical
                for k in range(count)
            ]
        return result


def covariance(left, right):
    n = len(left)
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0)) / n - sum(left) * sum(right) / n**2


def orders_of(sampling):
    """Of the minibatches of an epoch, equally likely."""
    if isinstance(sampling, GivenOrder):
        return [tuple(range(sampling.batches))]
    if isinstance(sampling, Epochs):
        return [order for epoch in sampling.epochs for order in itertools.permutations(epoch)]
    return list(itertools.permutations(range(sampling.batches), sampling.epoch))


def both(trained, dim, most, members=2):
    """The engine's SDE and the long run's."""
    rule, settings = trained.recursion, {}
    if rule.distinct:
        members = rule.distinct
    if not isinstance(rule.sampling, Independent):
        members = rule.sampling.family
        settings = {"orders": orders_of(rule.sampling), "single": isinstance(rule.sampling, SingleShuffle)}
    most = most if rule.perturbed else 0
    losses, memory = family(dim, members), memory_of(rule, dim)
    truth = LongRun(trained, losses, memory, most, SLOPES if rule.schedules else {}, **settings)
    return Derived(trained, losses, memory, most), truth


def check(trained, dim, most):
    ours, truth = both(trained, dim, most)
    assert ours.rate == trained.rate
    assert ours.drift == truth.drift
    assert ours.corrector == truth.corrector
    assert ours.correction == truth.correction
    count = min(ours.most + 1, trained.noise)
    assert ours.covariance(count) == {pair: powers[:count] for pair, powers in truth.covariance.items()}
