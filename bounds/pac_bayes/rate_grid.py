"""A geometric grid for a free parameter, each point of which pays its part of delta."""

import math
from dataclasses import dataclass
from typing import Self

from ...ground.errors import InputError
from ...ground.settings import setting
from .catoni_form import LARGEST, LEAST, best_constant
from .gibbs_sample import GibbsSample
from .inequality import PacBayesInequality

__all__ = ["RateGrid"]

_AROUND, _POINTS = 4.0, 7  # ours: a guess may be off by a factor 4 either way, then the next point is within 26 %


def _in_range(value: float) -> bool:
    return LEAST <= value <= LARGEST


@dataclass(frozen=True)
class RateGrid(PacBayesInequality):
    """An inequality that holds at each point of a grid, at its part of delta; the best point counts.

    Ours are the defaults: from the best ``C`` at a risk of 1/2 and 50 000 examples to that of an error-free sample,
    neighbours 1.6 apart, which costs ``ln 16 = 2.8`` nats.
    """

    least: float = setting(
        0.01, "Smallest point of the grid.", holds=_in_range, otherwise=f"must lie in [{LEAST}, {LARGEST}]"
    )
    largest: float = setting(
        10.0, "Largest point of the grid.", holds=_in_range, otherwise=f"must lie in [{LEAST}, {LARGEST}]"
    )
    points: int = setting(
        16, "Points of the grid, both ends included.", holds=lambda v: 2 <= v <= 1000, otherwise="must be 2 to 1000"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.least < self.largest:
            raise InputError(f"least = {self.least} is not below largest = {self.largest}; exchange them")

    def rates(self) -> list[float]:
        """The grid.

        Example:
            >>> from eigensam.bounds import CatoniGrid
            >>> CatoniGrid(least=0.25, largest=4.0, points=5).rates()
            [0.25, 0.5, 1.0, 2.0, 4.0]
        """
        step = (self.largest / self.least) ** (1 / (self.points - 1))
        return [self.least * step**i for i in range(self.points - 1)] + [self.largest]

    @classmethod
    def _fixed_for(cls, guess: GibbsSample, delta: float) -> Self:
        """A short grid around the constant that is best for the guesses."""
        cost = (guess.kl + math.log(_POINTS / delta)) / guess.examples
        best = min(max(best_constant(guess, cost), LEAST * _AROUND), LARGEST / _AROUND)
        return cls(best / _AROUND, best * _AROUND, _POINTS)
