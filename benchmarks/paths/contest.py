"""What a contestant is: from a task it makes a run, from a number of steps and a seed to the final points."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .examples import Example, Functions

__all__ = ["CONTESTANTS", "STEP", "Contestant", "Run", "Task", "contestant"]

STEP = 2.0**-7
"""A power of two: every library, in either type of numbers, makes the same number of steps of it."""

Run = Callable[[int, int], Any]
"""Steps and seed to an array of final points, ``(paths, d)``, computed when it is returned."""


@dataclass(frozen=True)
class Task:
    """So many paths of an example.

    Args:
        example: the SDE.
        paths: how many.
        dtype: "float32" or "float64".
        increments: "normal" or "two-point".
        device: "cpu" or "cuda".
    """

    example: Example
    paths: int
    dtype: str = "float32"
    increments: str = "normal"
    device: str = "cpu"

    def functions(self, xp: Any) -> Functions:
        """In torch or jax.numpy, on the device."""
        with torch.device(self.device):
            return self.example.make(xp, getattr(xp, self.dtype))


@dataclass(frozen=True)
class Contestant:
    """Someone who solves tasks.

    Args:
        title: for print.
        make: a run; what it does not do for every call (sizes, compilation at the first call) is not timed.
        two_point: whether it can use two-point increments.
        cuda: whether it is timed on a GPU, too.
    """

    title: str
    make: Callable[[Task], Run]
    two_point: bool = False
    cuda: bool = False


CONTESTANTS: dict[str, Contestant] = {}


def contestant(name: str, title: str, **facts: Any) -> Callable[[Callable[[Task], Run]], Callable[[Task], Run]]:
    """Enrol the maker of runs below."""

    def enrol(make: Callable[[Task], Run]) -> Callable[[Task], Run]:
        CONTESTANTS[name] = Contestant(title, make, **facts)
        return make

    return enrol
