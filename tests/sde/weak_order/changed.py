"""SAM's SDE of order 1, and SDEs that are wrong on purpose."""

from dataclasses import replace
from fractions import Fraction

from eigensam.sde import find_rule, truncate

SAM = find_rule("sam")
THIRD = truncate(SAM, "1/3", 3)
ETAS_FINE = [2.0**-k for k in range(9, 12)]


def changed(sde, part, factors):
    """The SDE with some coefficients of one part multiplied."""
    return replace(sde, **{part: {k: c * Fraction(factors.get(k, 1)) for k, c in getattr(sde, part).items()}})
