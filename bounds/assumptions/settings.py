"""What ``eigensam assumptions`` is asked for; no torch is needed to know that."""

import math
from dataclasses import dataclass
from typing import Any

from ...ground.errors import InputError
from ...ground.settings import check_settings, setting

__all__ = ["AssumptionSettings"]

_LARGE = 1_000_000  # ours: parameters from which on defaults are those of a large network


def _at_least(default: int, low: int, help: str) -> Any:
    return setting(default, help, holds=lambda value: value >= low, otherwise=f"must be at least {low}")


def _positive(default: float, help: str) -> Any:
    return setting(default, help, holds=lambda value: value > 0, otherwise="must be positive")


@dataclass(frozen=True)
class AssumptionSettings:
    """Where to look, and for how long.

    Attributes:
        sigmas: standard deviations of the noise in ``f_D(x) <= E f_D(x+e)``, with commas between them.
        delta: probability that any of their intervals fails.
        draws: pairs ``e, -e`` of that noise.
        examples: training examples of curvature and sampled constants, and held-out examples of the noise; 0 chooses
            512, or 64 from 10^6 parameters on.
        minibatches: training minibatches whose gradient is measured; 0 chooses 256, or 8 from 10^6 parameters on.
        max_products: Hessian products for the two largest eigenvalues; 0 chooses 60, or 30 from 10^6 parameters on.
        radius: of the ball around the trained point in which constants are sampled, relative to its norm.
        pairs: of points in that ball; 0 chooses 4, or 1 from 10^6 parameters on.
        near: distance, relative to the root mean square distance of two images of the set, below which two images
            are near-duplicates (ours: 0.1).
        p_min: floor of probabilities of the bounded cross-entropy.
        batch_size: examples in a pass (memory only).
        seed: of all random numbers.

    Raises:
        InputError: a value out of range, with the repair.

    Example:
        >>> AssumptionSettings(sigmas="0.1,0.01").sigma_values
        [0.1, 0.01]
        >>> AssumptionSettings(draws=1)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: draws = 1 must be at least 2
    """

    sigmas: str = setting("0.001,0.01,0.1", "Standard deviations of the noise around x, with commas between them.")
    delta: float = setting(
        0.05,
        "Probability that one of the intervals for that noise fails.",
        holds=lambda value: 0 < value < 1,
        otherwise="must lie in (0, 1)",
    )
    draws: int = _at_least(8, 2, "Pairs of draws e, -e of that noise, common to all examples.")
    examples: int = _at_least(0, 0, "Examples of curvature and noise; 0 is 512, or 64 from 10^6 parameters on.")
    minibatches: int = _at_least(
        0, 0, "Minibatches whose gradient norm is measured; 0 is 256, or 8 from 10^6 parameters on."
    )
    max_products: int = setting(
        0,
        "Most Hessian-vector products for two eigenvalues; 0 is 60, or 30 from 10^6 parameters on.",
        holds=lambda value: value == 0 or value >= 2,
        otherwise="must be at least 2, or 0",
    )
    radius: float = _positive(0.1, "Radius of the ball around x in which constants are sampled, relative to |x|.")
    pairs: int = _at_least(0, 0, "Pairs of points in that ball; 0 is 4, or 1 from 10^6 parameters on.")
    near: float = _positive(0.1, "Relative distance below which two images count as near-duplicates.")
    p_min: float = setting(
        1e-3,
        "Floor of the probabilities in the bounded cross-entropy.",
        holds=lambda value: 0 < value < 1,
        otherwise="must lie in (0, 1)",
    )
    batch_size: int = _at_least(500, 1, "Examples in a pass (memory only).")
    seed: int = _at_least(0, 0, "Seed of all random numbers.")

    def __post_init__(self) -> None:
        check_settings(self)
        values = self.sigma_values
        if len(set(values)) < len(values) or not all(0 < value <= 1e6 for value in values):
            raise InputError(f"sigmas = {self.sigmas}: give different positive numbers up to 1e6, such as 0.01,0.1")

    @property
    def sigma_values(self) -> list[float]:
        """The standard deviations as numbers.

        Raises:
            InputError: a text that is no number.
        """
        try:
            values = [float(part) for part in self.sigmas.split(",")]
        except ValueError:
            raise InputError(f"sigmas = {self.sigmas!r} is no list of numbers; give e.g. 0.01,0.1") from None
        if not all(map(math.isfinite, values)):
            raise InputError(f"sigmas = {self.sigmas}: give finite numbers, such as 0.01,0.1")
        return values

    def example_count(self, dim: int) -> int:
        """How many examples a network of so many parameters is looked at on.

        Example:
            >>> AssumptionSettings().example_count(10**7), AssumptionSettings(examples=7).example_count(10**7)
            (64, 7)
        """
        return self.examples or (64 if dim >= _LARGE else 512)

    def minibatch_count(self, dim: int) -> int:
        """How many minibatches' gradients are measured, at most."""
        return self.minibatches or (8 if dim >= _LARGE else 256)

    def product_count(self, dim: int) -> int:
        """How many Hessian products the two largest eigenvalues get, at most."""
        return self.max_products or (30 if dim >= _LARGE else 60)

    def pair_count(self, dim: int) -> int:
        """How many pairs of points are compared in the ball."""
        return self.pairs or (1 if dim >= _LARGE else 4)
