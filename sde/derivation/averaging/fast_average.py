"""The average over fast blocks with the slow ones held, and the Poisson equation, both for polynomials.

With ``P_0`` the operator of one step at ``eta = 0``, a polynomial ``r`` in the fast blocks is ``m + (I - P_0) chi``
for one ``m`` without fast blocks: its average over their invariant law. Both come out of one elimination: ``P_0``
multiplies a monomial by a number below 1 and adds monomials of lower degree, or of a higher power of ``rho``.
"""

from fractions import Fraction

from ....ground.errors import InputError
from ...algebra.states import degree, leaf_labels
from ...algebra.sums import Sum
from .one_step import OneStep, Powers

__all__ = ["average", "poisson"]

_MOST_ROUNDS = 60


def poisson(step: OneStep, function: Powers, level: int) -> tuple[Powers, Powers]:
    """``(chi, m)`` with ``(I - P_0) chi = function - m``, where the average of ``chi`` is 0.

    Args:
        step: whose fast blocks.
        function: by power of ``rho``.
        level: the power of ``eta`` that it stands with, by which powers of ``rho`` are kept.

    Raises:
        InputError: the function is no polynomial in the fast blocks.
    """
    chi, mean = _eliminated(step, function, level)
    centre = _eliminated(step, chi, level)[1]
    return _difference(chi, centre), mean


def average(step: OneStep, function: Powers, level: int) -> Powers:
    """The mean of a function over the invariant law of the fast blocks; arguments as of :func:`poisson`."""
    return _eliminated(step, function, level)[1]


def _eliminated(step: OneStep, function: Powers, level: int) -> tuple[Powers, Powers]:
    rest = {k: value for k, value in function.items() if value and step.fits(level, k)}
    chi: Powers = {}
    try:
        rounds = 0
        while (found := _highest(step, rest)) is not None:
            k, piece = found
            chi[k] = chi.get(k, Sum()) + piece
            image = step.stepped_powers({k: piece}, 0, Fraction(0), level)
            rest = _difference(_difference(rest, {k: piece}), {j: -value for j, value in image.items()})
            rounds += 1
            if rounds > _MOST_ROUNDS:
                raise InputError("its blocks feed each other in a circle; write them so that each reads those above it")
    except InputError as error:
        raise InputError(
            f"recursion '{step.recursion.name}': {error}; only memory that is affine at eta = 0, in a rule that is "
            "polynomial in it at each power of rho, has its average in closed form"
        ) from None
    return {k: value for k, value in chi.items() if value}, rest


def _highest(step: OneStep, rest: Powers) -> tuple[int, Sum] | None:
    """At the lowest power of ``rho`` with fast blocks, the terms of highest degree, each divided by ``1 - factor``."""
    for k in sorted(rest):
        degrees = {term: degree(term, step.fast) for term in rest[k].terms}
        most = max(degrees.values(), default=0)
        if not most:
            continue
        piece = {}
        for term, c in rest[k].terms.items():
            if degrees[term] == most:
                factor = Fraction(1)
                for name in leaf_labels(term, step.fast):
                    factor *= step.factors[name]
                piece[term] = c / (1 - factor)
        return k, Sum(piece)
    return None


def _difference(left: Powers, right: Powers) -> Powers:
    powers = {*left, *right}
    return {k: value for k in powers if (value := left.get(k, Sum()) - right.get(k, Sum()))}
