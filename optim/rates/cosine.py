"""The learning rate falls along half a cosine."""

import math
from dataclasses import dataclass
from fractions import Fraction

from ...ground.settings import setting
from ..rate import Rate, register_rate

__all__ = ["CosineRate"]


@register_rate("cosine", order=1)
@dataclass(frozen=True)
class CosineRate(Rate):
    """``final + (1 - final) (1 + cos(pi epoch / epochs)) / 2``, anew at every step (Loshchilov & Hutter 2017, eq. 5).

    Attributes:
        final: share of the learning rate that would be left at the end (paper: 0).

    Example:
        >>> round(CosineRate(final=0.1).factor(7.5, epochs=10), 4)
        0.2318
    """

    extendable = False
    final: float = setting(
        0.0,
        "Share of the learning rate that the schedule falls to; 0 in the paper.",
        holds=lambda value: 0 <= value <= 1,
        otherwise="must lie in [0, 1]",
    )

    def factor(self, epoch: float | Fraction, epochs: int) -> float:
        """From 1 to ``final``."""
        half = 0.5 * (1 + math.cos(math.pi * float(epoch / epochs)))
        return self.final + (1 - self.final) * half
