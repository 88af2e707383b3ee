"""The learning rate stays what it is."""

from dataclasses import dataclass
from fractions import Fraction

from ..rate import Rate, register_rate

__all__ = ["ConstantRate"]


@register_rate("constant", order=3)
@dataclass(frozen=True)
class ConstantRate(Rate):
    """1 everywhere.

    Example:
        >>> ConstantRate().factor(7.5, epochs=10)
        1.0
    """

    extendable = True

    def factor(self, epoch: float | Fraction, epochs: int) -> float:
        """Of every step."""
        return 1.0
