"""Whether a contestant solves the problem: moments after a time, against paths that numpy makes by the same scheme.

Nobody is timed for solving something else. Path numbers are fixed in advance, and the level is shared by all
comparisons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .examples import Example, Functions

__all__ = ["CHECK_PATHS", "CHECK_STEPS", "STEP", "Moments", "largest_deviation", "reference", "threshold"]

STEP = 2.0**-7
"""A power of two: every library, in either type of numbers, makes the same number of steps of it."""

CHECK_PATHS, CHECK_STEPS, REFERENCE_PATHS = 2**16, 128, 2**17
LEVEL = 1e-3

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Means of ``x_i`` and of ``x_i x_j`` over paths, and the variances of these means."""

    mean: Array
    variance: Array

    @classmethod
    def of(cls, x: Array) -> "Moments":
        """Of final points, shape ``(paths, d)``."""
        rows, columns = np.triu_indices(x.shape[1])
        x = x.astype(np.float64)
        values = np.concatenate([x, x[:, rows] * x[:, columns]], axis=1)
        return cls(values.mean(0), values.var(0) / len(values))


def largest_deviation(found: Moments, truth: Moments) -> float:
    """The largest difference of two means, in standard deviations of the difference."""
    return float(np.max(np.abs(found.mean - truth.mean) / np.sqrt(found.variance + truth.variance)))


def threshold(comparisons: int) -> float:
    """What all of so many deviations exceed with probability ``LEVEL`` at most."""
    return NormalDist().inv_cdf(1 - LEVEL / 2 / comparisons)


def reference(example: Example, increments: str, alter: Callable[[Functions], Functions] = lambda f: f) -> Moments:
    """Moments by Euler's scheme in numpy, of an altered problem if that is asked for."""
    functions = alter(example.make(np, np.float64))
    generator = np.random.default_rng(2**20)
    ends, chunk = [], 2**12
    for _ in range(REFERENCE_PATHS // chunk):
        x = np.tile(np.array(example.x0), (chunk, 1))
        for k in range(CHECK_STEPS):
            shape = (chunk, example.noise_dim)
            normal = increments == "normal"
            z = generator.standard_normal(shape) if normal else 2.0 * generator.integers(0, 2, shape) - 1
            kick = example.kick(functions.diffusion(k * STEP, x), z)
            x = x + STEP * functions.drift(k * STEP, x) + STEP**0.5 * kick
        ends.append(x)
    return Moments.of(np.concatenate(ends))
