"""Drift, correction and noise of the slow blocks, by the corrector of the fast ones (theory, section 8)."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ...algebra.states import averaged, inserted, time_derivative
from ...algebra.sums import Sum
from ...algebra.terms import PARAMETER
from ...algebra.trees import GAMMA, LOSS, MEAN
from ...rules.leaves import POSITION
from .fast_average import average, poisson
from .one_step import OneStep, Powers, renamed

__all__ = ["Effective"]


@dataclass(frozen=True, eq=False)
class Effective:
    """What one step does to the slow blocks on average: all by block, in units of ``eta`` for each step.

    With ``G`` the coefficient of ``eta`` in what a step adds to a slow block, and ``mu`` the invariant law of the fast
    blocks: ``b_0 = mu(E G)``, ``(I - P_0) chi = E G - b_0`` with ``mu(chi) = 0``, and
    ``b_1 = mu(E F_2 + P_1 chi) - 1/2 (D b_0) b_0``, where ``F_2`` is the coefficient of ``eta^2`` and ``P_1`` that of
    the one-step operator; with schedules ``D`` includes time. ``G + chi(z, q+) - chi(z, q) - b_0`` are increments of a
    martingale, whose covariance is the noise's.

    Args:
        step: the recursion's, expanded.
    """

    step: OneStep

    @cached_property
    def _increments(self) -> dict[str, Powers]:
        return {name: {k: v for (a, k), v in moves.items() if a == 1} for name, moves in self.step.moves.items()}

    def _mean(self, powers: Powers) -> Powers:
        return {k: found for k, value in powers.items() if (found := self.step.mean(value))}

    @cached_property
    def _first(self) -> dict[str, tuple[Powers, Powers]]:
        self.step.factors  # noqa: B018  # refuses memory that is not affine or does not forget
        return {name: poisson(self.step, self._mean(powers), 1) for name, powers in self._increments.items()}

    @property
    def drift(self) -> dict[str, Powers]:
        """``b_0``."""
        return {name: mean for name, (_, mean) in self._first.items()}

    @property
    def corrector(self) -> dict[str, Powers]:
        """``chi``: the SDE starts at ``x_0 + eta chi(x_0, q_0)``, and ``x + eta chi`` is what it follows from there."""
        return {name: chi for name, (chi, _) in self._first.items()}

    @cached_property
    def rate(self) -> Fraction:
        """``W``, if the position drifts along ``-W`` times the mean gradient, or 1: one step takes the time ``W eta``.

        Schedules multiply the gradient besides.
        """
        schedules = self.step.recursion.schedules
        for (vector, factors), c in self.drift[POSITION].get(0, Sum()).terms.items():
            constant = all(atom[0] == PARAMETER and atom[1] in schedules for atom, _ in factors)
            if vector == (LOSS, MEAN, ()) and constant and c < 0:
                return -c
        return Fraction(1)

    @cached_property
    def correction(self) -> dict[str, Powers]:
        """``b_1``."""
        result = {}
        for name in self.step.slow:
            second = self._mean({k: v for (a, k), v in self.step.moves[name].items() if a == 2})
            total = dict(second)
            for k, value in self.step.stepped_powers(self.corrector[name], 1, self.rate, 1).items():
                total[k] = total.get(k, Sum()) + value
            found = average(self.step, total, 2)
            for k, value in self.along_drift(self.drift[name]).items():
                found[k] = found.get(k, Sum()) - value * Fraction(1, 2)
            result[name] = {k: value for k, value in sorted(found.items()) if value}
        return result

    def along_drift(self, function: Powers) -> Powers:
        """``(b_0 . grad + W d/dt) function``, of a function of the slow blocks."""
        result: Powers = {}
        for i, value in function.items():
            if moved := time_derivative(value, self.step.recursion.schedules) * self.rate:
                result[i] = result.get(i, Sum()) + moved
            for name, drift in self.drift.items():
                slope = value.differentiated(block=name)
                if not slope:
                    continue
                for j, vector in drift.items():
                    if self.step.fits(1, i + j):
                        result[i + j] = result.get(i + j, Sum()) + slope.fill(vector)
        return {k: value for k, value in result.items() if value}

    @cached_property
    def unaveraged(self) -> dict[str, Powers]:
        """``G + chi(z, q+) - chi(z, q) - b_0``, in the fast blocks and the step's minibatches."""
        result = {}
        for name, increments in self._increments.items():
            total = dict(increments)
            for k, chi in self.corrector[name].items():
                after = inserted(chi, self.step.maps, [], lambda a, j, k=k: a == 0 and self.step.fits(1, j + k))  # type: ignore[misc]
                for (_, j), value in after.items():
                    total[j + k] = total.get(j + k, Sum()) + value
                total[k] = total.get(k, Sum()) - chi
            for k, value in self.drift[name].items():
                total[k] = total.get(k, Sum()) - value
            result[name] = {k: value for k, value in total.items() if value}
        return result

    @cached_property
    def martingale(self) -> dict[str, Powers]:
        """The same averaged over the fast blocks, but not over the step's minibatches."""
        result = {}
        for name, total in self.unaveraged.items():
            kept = {k: self.step.protected(value) for k, value in total.items()}
            found = average(self.step, kept, 1)
            result[name] = {k: self.step.exposed(value) for k, value in sorted(found.items()) if value}
        return result

    @cached_property
    def projections(self) -> dict[str, dict[str, Powers]]:
        """By label: the martingale averaged over all minibatches but one, which is written as the step's own."""
        result: dict[str, dict[str, Powers]] = {}
        for label in self.step.recursion.draws:
            number = self.step.draws[label]
            parts: dict[str, Powers] = {}
            for name, powers in self.martingale.items():
                others = [s for s in self.step.draws.values() if s != number]
                alone: Powers = {}
                for k, value in powers.items():
                    mean = averaged(value, others, self.step.recursion.distinct, number)
                    mean = renamed(mean, {number: GAMMA}) if number != GAMMA else mean
                    if mean - averaged(mean, [GAMMA]):
                        alone[k] = mean
                parts[name] = alone
            if any(parts.values()):
                result["" if number == GAMMA else label] = parts
        return result
