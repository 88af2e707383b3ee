"""Catoni's function, and the constant at which it is least."""

import math
from typing import Any

from ..concentration.kl import kl_inverse
from ..rounding.intervals import Intervals
from .gibbs_sample import GibbsSample

__all__ = ["LARGEST", "LEAST", "best_constant", "catoni_form"]

LEAST, LARGEST = 1e-6, 100.0
"""Constants ``C`` that are taken: below, the bound exceeds 1 for every sample in sight; above, it does not move."""


def catoni_form(iv: Intervals, c: Any, exponent: Any) -> Any:
    """``(1 - exp(-exponent)) / (1 - e^-c)``, an interval."""
    return (1 - iv.exp(-exponent)) / (1 - iv.exp(-c))


def best_constant(guess: GibbsSample, cost: float) -> float:
    """``C = ln(p (1-r) / (r (1-p)))`` at ``p = kl^-1(r, cost)``, the slope of ``-kl(. || p)`` at ``r``.

    There Catoni's bound is least, and is ``p``. At ``r = 0`` that is infinite, and useless as soon as one example is
    wrong: half an error in the sample is the least risk that is guessed.

    Example:
        >>> round(best_constant(GibbsSample(0.1, 0, 1000), 0.01), 4)
        0.4443
    """
    r = min(max(guess.risk, 0.5 / guess.examples), 1 - 1e-9)
    p = min(kl_inverse(r, cost), 1 - 1e-15)
    return min(max(math.log(p / r) + math.log1p(-r) - math.log1p(-p), LEAST), LARGEST)
