"""What epochs change in a recursion's SDE: the terms of pairs of minibatches (:mod:`eigensam.sde.rules.sampling`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ....ground.errors import InputError
from ...algebra.states import frozen
from ...algebra.sums import Sum
from ...algebra.terms import Term
from ...algebra.trees import STATE
from ...rules.leaves import POSITION
from ...rules.sampling import Matrix, Sampling
from .effective import Effective
from .one_step import Powers

__all__ = ["EpochTerms"]

_NEGLIGIBLE = Fraction(1, 10**20)
"""Of the largest weight: memory that is older changes no digit of a number in double precision."""

_DIGITS = 10**15
"""Largest denominator of what is printed and computed with; an exact value beyond is rounded, to 30 digits."""


@dataclass(frozen=True, eq=False)
class EpochTerms:
    """The terms of a recursion's SDE that are due to its law of minibatches.

    Args:
        effective: of the recursion with independent minibatches.
        increments: ``h`` in units of the effective rate, of the step's own minibatch.
    """

    effective: Effective
    increments: Powers

    @property
    def _sampling(self) -> Sampling:
        return self.effective.step.recursion.sampling

    @property
    def noise(self) -> Fraction:
        """The noise's covariance as a multiple of ``Cov h``."""
        return self._sampling.noise()

    def lags(self) -> Iterator[Fraction]:
        """``c_1, c_2, ...``: what ``y - x`` has of the minibatch ``l`` steps ago; ends where the rest is negligible.

        Raises:
            InputError: memory that is not linear in the increments.
        """
        step, rate = self.effective.step, self.effective.rate
        names = step.fast
        if not names:
            return
        chi = {k: self._frozen(value) for k, value in self.effective.corrector[POSITION].items()}
        if any(self._linear(value)[0] for k, value in chi.items() if k):
            raise self._refusal()
        weights, rest = self._linear(chi.get(0, Sum()))
        if rest.mean() - rest:
            raise self._refusal()
        matrix = {name: self._linear(self._frozen(step.maps[name].get((0, 0), Sum())))[0] for name in names}
        inputs = {name: self._input(name) for name in names}
        current = inputs
        largest = Fraction(0)
        while True:
            weight = sum((weights.get(name, Fraction(0)) * current[name] for name in names), Fraction(0)) / rate
            yield weight
            size = max((abs(value) for value in current.values()), default=Fraction(0))
            largest = max(largest, size)
            if size <= _NEGLIGIBLE * largest:
                return
            current = {
                name: sum((a * current[other] for other, a in matrix[name].items()), Fraction(0)) for name in names
            }
            current = {name: _shortened(value) for name, value in current.items()}

    def _frozen(self, value: Sum) -> Sum:
        return frozen(value, self.effective.step.recursion.schedules)

    def _linear(self, value: Sum) -> tuple[dict[str, Fraction], Sum]:
        """Coefficients of fast blocks, and the rest.

        Raises:
            InputError: a fast block occurs otherwise.
        """
        found: dict[str, Fraction] = {}
        rest: dict[Term, Fraction] = {}
        for (vector, factors), c in value.terms.items():
            if vector and vector[0] == STATE and vector[1] in self.effective.step.fast and not factors:
                found[vector[1]] = c
            else:
                rest[vector, factors] = c
        others = Sum(rest)
        if any(others.differentiated(block=name) for name in self.effective.step.fast):
            raise self._refusal()
        return found, others

    def _input(self, name: str) -> Fraction:
        """What a fast block takes up of ``h``'s fluctuation, the same at all powers of ``rho``."""
        ratio: Fraction | None = None
        step = self.effective.step
        most = max(self.increments, default=0)
        for k in {*self.increments, *(j for a, j in step.maps[name] if a == 0 and j <= most)}:
            linear, rest = self._linear(self._frozen(step.maps[name].get((0, k), Sum())))
            if k and linear:
                raise self._refusal()
            noise, own = (value - value.mean() for value in (self._frozen(self.increments.get(k, Sum())), rest))
            if ratio is None and noise:
                term = next(iter(noise.terms))
                ratio = own.terms.get(term, Fraction(0)) / noise.terms[term]
            if own - noise * (ratio or Fraction(0)):
                raise self._refusal()
        return ratio or Fraction(0)

    def _refusal(self) -> InputError:
        return InputError(
            f"recursion '{self.effective.step.recursion.name}': epochs are derived for memory that is a "
            "weighted sum of past increments, as momentum is, and this is not; draw independently, or write the "
            "steps of one epoch as statements with distinct draws"
        )

    @cached_property
    def share(self) -> Fraction:
        """``kappa``: ``b_1`` has ``kappa C`` more than with independent minibatches."""
        total = self._sampling.share(self.lags())
        return total if total.denominator <= _DIGITS else total.limit_denominator(_DIGITS)

    @cached_property
    def correction(self) -> Powers:
        """``kappa C``."""
        result: Powers = {}
        if not self.share:
            return result
        for i, left in self.increments.items():
            for j, right in self.increments.items():
                if self.effective.step.fits(2, i + j):
                    together = left.along(right).mean() - left.mean().along(right.mean())
                    result[i + j] = result.get(i + j, Sum()) + together * self.share
        return {k: value for k, value in result.items() if value}

    @cached_property
    def kernel(self) -> Matrix | None:
        """``K``, where pairs of minibatches are not all alike: ``b_1`` has ``E_b (D h_b)[sum_a K_ba h_a]`` more."""
        return self._sampling.kernel(self.lags())


def _shortened(value: Fraction) -> Fraction:
    """With so many digits that no sum notices, so that powers do not grow without end."""
    return value if value.denominator.bit_length() < 400 else value.limit_denominator(10**60)
