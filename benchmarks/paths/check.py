"""Whether a contestant solves the problem: moments after 128 steps, against paths that numpy makes by the same scheme.

Nobody is timed for solving something else. Numbers of paths are fixed in advance, and the level is shared by all
comparisons of a run; what must be refused is refused in every run.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .contest import CONTESTANTS, STEP, Task
from .examples import EXAMPLES, Example, Functions

__all__ = ["Moments", "check", "largest_deviation", "refusals"]

PATHS, STEPS, REFERENCE_PATHS = 2**16, 128, 2**17
COMPARISONS = 1500
"""More than the moments of all contestants and cases together: 5 each in two dimensions, 65 in ten."""
THRESHOLD = NormalDist().inv_cdf(1 - 1e-3 / 2 / COMPARISONS)
"""Of deviations, in standard deviations: exceeded with probability 1e-3 in a run in which all are right."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Means of ``x_i`` and of ``x_i x_j`` over paths, and the variances of these means."""

    mean: Array
    variance: Array

    @classmethod
    def of(cls, x: NDArray[Any]) -> "Moments":
        """Of final points, shape ``(paths, d)``."""
        rows, columns = np.triu_indices(x.shape[1])
        x = x.astype(np.float64)
        values = np.concatenate([x, x[:, rows] * x[:, columns]], axis=1)
        return cls(values.mean(0), values.var(0) / len(values))


def largest_deviation(found: Moments, truth: Moments) -> float:
    """The largest difference of two means, in standard deviations of the difference; infinite if one is no number."""
    deviations = np.abs(found.mean - truth.mean) / np.sqrt(found.variance + truth.variance)
    return float(np.nan_to_num(deviations, nan=np.inf).max())


def reference(example: Example, functions: Functions, increments: str, paths: int, seed: int) -> Moments:
    """Moments by Euler's scheme in numpy."""
    generator = np.random.default_rng(seed)
    ends, chunk = [], 2**12
    for _ in range(paths // chunk):
        x = np.tile(np.array(example.x0), (chunk, 1))
        for k in range(STEPS):
            shape = (chunk, example.noise_dim)
            normal = increments == "normal"
            z = generator.standard_normal(shape) if normal else 2.0 * generator.integers(0, 2, shape) - 1
            kick = example.kick(functions.diffusion(k * STEP, x), z)
            x = x + STEP * functions.drift(k * STEP, x) + STEP**0.5 * kick
        ends.append(x)
    return Moments.of(np.concatenate(ends))


@cache
def _truth(example: Example, increments: str) -> Moments:
    return reference(example, example.make(np, np.float64), increments, REFERENCE_PATHS, seed=2**20)


def check(task: Task, names: Iterable[str], paths: int = PATHS) -> dict[str, float]:
    """Largest deviation of each contestant.

    Raises:
        SystemExit: one deviates by more than the threshold.
    """
    task, found = replace(task, paths=paths), {}
    truth = _truth(task.example, task.increments)
    for name in names:
        end = CONTESTANTS[name].make(task)(STEPS, 1)
        end = end.cpu() if isinstance(end, torch.Tensor) else end
        found[name] = largest_deviation(Moments.of(np.asarray(end)), truth)
        if found[name] > THRESHOLD:
            raise SystemExit(f"{name} does not solve '{task.example.title}': off by {found[name]:.1f} deviations")
    return found


def refusals() -> dict[str, float]:
    """Largest deviation of problems that are a little wrong.

    Raises:
        SystemExit: one of them is taken for right.
    """
    example = EXAMPLES["sam"]
    right = example.make(np, np.float64)
    wrong: dict[str, Callable[[Any, Any], Functions]] = {
        "diffusion transposed": lambda b, g: Functions(b, lambda t, x: np.swapaxes(g(t, x), -1, -2)),
        "noise 3 % larger": lambda b, g: Functions(b, lambda t, x: 1.03 * g(t, x)),
        "drift 2 % larger": lambda b, g: Functions(lambda t, x: 1.02 * b(t, x), g),
    }
    found = {}
    for name, alter in wrong.items():
        altered = reference(example, alter(right.drift, right.diffusion), "normal", PATHS, seed=1)
        found[name] = largest_deviation(altered, _truth(example, "normal"))
        if found[name] <= THRESHOLD:
            raise SystemExit(f"the check takes '{name}' for right: off by {found[name]:.1f} deviations only")
    return found
