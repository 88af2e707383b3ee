"""Interleaved repeats: seconds per number drawn, in seconds per number of the floor of the same round."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

__all__ = ["FLOOR", "Timed", "floor", "one_core", "quartiles", "ratios", "rounds"]

FLOOR = "floor"
BUFFER = 2**14
"""Numbers of the floor's buffer: 64 KiB in float32, in the second cache. From 2^12 on its size changes nothing."""

Timed = dict[str, tuple[Callable[[int], Any], int]]
"""Name to a function of the round's number, and how many random numbers its call needs."""


@contextmanager
def one_core() -> Iterator[None]:
    """One thread of torch, and one core for libraries that ask how many there are when they first compute."""
    before, threads = os.sched_getaffinity(0), torch.get_num_threads()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(before)})
    try:
        with threadpool_limits(1):
            yield
    finally:
        os.sched_setaffinity(0, before)
        torch.set_num_threads(threads)


def floor(dtype: str, device: str, numbers: int) -> tuple[Callable[[int], Any], int]:
    """``torch.Tensor.normal_``, so often that it draws about so many numbers."""
    size = BUFFER if device == "cpu" else 2**26
    buffer = torch.empty(size, dtype=getattr(torch, dtype), device=device)
    calls = max(1, numbers // size)

    def draw(repeat: int) -> None:
        for _ in range(calls):
            buffer.normal_()

    return draw, calls * size


def rounds(timed: Timed, repeats: int, seldom: dict[str, int], device: str) -> Iterator[dict[str, float]]:
    """Seconds per number of each function, all in a random order, ``repeats`` times; the first call is not timed.

    On the CPU processor time of all threads, on a GPU time until it has finished. A function that ``seldom`` names
    takes part in so many rounds only.
    """
    clock = process_time if device == "cpu" else perf_counter
    finish: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    for function, _ in timed.values():
        function(0)
    for repeat in range(repeats):
        seconds = {}
        for name in random.sample(list(timed), len(timed)):
            if repeat >= seldom.get(name, repeats):
                continue
            function, numbers = timed[name]
            finish()
            start = clock()
            function(1 + repeat)
            finish()
            seconds[name] = (clock() - start) / numbers
        yield seconds


def ratios(measured: list[dict[str, float]], unit: str = FLOOR) -> dict[str, list[float]]:
    """To the floor, or to someone else, of the same round."""
    names = {name for each in measured for name in each}
    return {name: [each[name] / each[unit] for each in measured if name in each] for name in names}


def quartiles(values: list[float]) -> list[float]:
    """Lower quartile, median, upper quartile."""
    found: list[float] = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return found
