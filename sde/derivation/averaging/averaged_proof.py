"""The weak order of a recursion's SDE, proved on an abstract test function of the slow blocks.

With ``chi`` the corrector, ``(P - I)(phi + eta chi.grad phi)`` is compared with ``(e^{W eta L} - I)(phi + eta chi.grad
phi)``: at ``eta`` they agree with the fast blocks in them, at ``eta^2`` on the average over those, so that a second
corrector exists and the errors of steps add up to one order less. Steps of a training take the time ``eps = W eta / s``
each, ``s`` of them to a step of the recursion.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache

from ...algebra.states import time_derivative
from ...algebra.sums import Sum
from ...algebra.trees import PHI
from ...rules.recursion import Recursion
from ..proof import Match, Proof, covariance_operator, words
from .effective import Effective
from .fast_average import average
from .one_step import Powers

__all__ = ["BlockPowers", "prove_recursion"]

BlockPowers = Mapping[str, Powers]
"""By block of the state: coefficients by power of ``rho``."""

_LAST = 3


def prove_recursion(
    effective: Callable[[Fraction], Effective],
    recursion: Recursion,
    parts: tuple[BlockPowers, BlockPowers, BlockPowers],
    rho_exponent: Fraction,
) -> Proof:
    """Compare both operators in the order of their exponents until they differ.

    Args:
        effective: of the recursion, up to a given exponent.
        recursion: whose step is one side.
        parts: what the SDE keeps of ``b_0`` and of ``b_1``, in units of the effective rate, and increments of the
            step's own minibatch, whose covariance it has.
        rho_exponent: ``beta``.
    """
    powers = sorted((a + k * rho_exponent, a, k) for a in (1, 2) for k in range(math.ceil((_LAST - a) / rho_exponent)))
    chain = cache(_chain)
    matched: list[Match] = []
    for exponent, group in itertools.groupby(powers, key=lambda power: power[0]):
        one = effective(exponent)
        semigroup = _semigroup(recursion, one.rate, *parts)
        found = [Match(a, k, exponent, chain(one, a).get(k, Sum()), semigroup(a, k)) for _, a, k in group]
        different = tuple(match for match in found if match.difference)
        matched += [match for match in found if not match.difference and match.chain]
        if different:
            return Proof(tuple(matched), different, None)
    return Proof(tuple(matched), (), None)


def _along_corrector(one: Effective, function: Powers) -> Powers:
    """``chi . grad``, of a function of the slow blocks."""
    result: Powers = {}
    for i, value in function.items():
        for name, chi in one.corrector.items():
            slope = value.differentiated(block=name)
            for j, vector in chi.items():
                if one.step.fits(1, i + j) and slope:
                    result[i + j] = result.get(i + j, Sum()) + slope.fill(vector)
    return result


def _chain(one: Effective, a: int) -> Powers:
    """The coefficient of ``eta^a`` of the recursion's side."""
    phi: Powers = {0: Sum.full_contraction(PHI)}
    corrected = _along_corrector(one, phi)
    total = one.step.stepped_powers(phi, a, one.rate)
    for k, value in one.step.stepped_powers(corrected, a - 1, one.rate, 1).items():
        total[k] = total.get(k, Sum()) + value
    taken = corrected if a == 1 else _along_corrector(one, one.along_drift(phi))
    for k, value in taken.items():
        total[k] = total.get(k, Sum()) - value
    return total if a == 1 else average(one.step, total, 2)


def _semigroup(
    recursion: Recursion, rate: Fraction, drift: BlockPowers, correction: BlockPowers, noise: BlockPowers
) -> Callable[[int, int], Sum]:
    """Words in ``L_0`` and ``L_1`` of ``e^{W eta (L_0 + eps L_1)}``, ``eps = W eta / s``; time belongs to ``L_0``."""

    def along(function: Sum, fields: BlockPowers, k: int) -> Sum:
        total = Sum()
        for name, powers in fields.items():
            if k in powers:
                total = total + function.along(powers[k], name)
        return total

    def first(function: Sum, k: int) -> Sum:
        moved = time_derivative(function, recursion.schedules) if k == 0 else Sum()
        return along(function, drift, k) + moved

    def second(function: Sum, k: int) -> Sum:
        total = along(function, correction, k)
        for (one, left), (two, right) in itertools.product(noise.items(), repeat=2):
            total = total + covariance_operator(function, (left, right), k, (one, two))
        return total

    return words(first, second, lambda length, a: rate**a * Fraction(recursion.inner_steps) ** (length - a))
