"""Shares of what a GPU was measured to do: copying, and arithmetic on integers. Not tried on a GPU yet."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from .contest import Task

__all__ = ["PHILOX_OPERATIONS", "device_limits", "shares"]

PHILOX_OPERATIONS = (10 * (2 * 2 + 4) + 9 * 2) / 4
"""Integer operations per 32-bit word of Philox4x32-10: ten rounds with two products, of which both halves are needed,
and four exclusive ors; nine updates of two keys; for four words."""

_ROUNDS = 256


def _seconds(function: Callable[[], object], repeats: int = 10) -> float:
    function()
    torch.cuda.synchronize()
    start = perf_counter()
    for _ in range(repeats):
        function()
    torch.cuda.synchronize()
    return (perf_counter() - start) / repeats


def device_limits() -> dict[str, float]:
    """Bytes per second, read and written, of a copy; 32-bit products and sums per second of a compiled chain."""
    source = torch.zeros(2**28, device="cuda")
    target = torch.empty_like(source)

    @torch.compile
    def chain(x: Tensor) -> Tensor:
        for _ in range(_ROUNDS):
            x = x * 1664525 + 1013904223
        return x

    numbers = torch.arange(2**24, dtype=torch.int32, device="cuda")
    return {
        "copy_bytes": 2 * source.numel() * source.element_size() / _seconds(lambda: target.copy_(source)),
        "integer_operations": 2 * _ROUNDS * numbers.numel() / _seconds(lambda: chain(numbers)),
    }


def shares(task: Task, path_steps: float, steps_per_call: int, limits: dict[str, float]) -> dict[str, Any]:
    """Of the limits, at so many path-steps per second.

    A call reads and writes the state once; a normal number in float32 takes one word of the generator, in float64 two.
    """
    words = {"float32": 1, "float64": 2}[task.dtype]
    state = len(task.example.x0) * 4 * words
    return {
        "path_steps_per_second": path_steps,
        "of_copy_bandwidth": path_steps * 2 * state / steps_per_call / limits["copy_bytes"],
        "of_integer_throughput": path_steps
        * task.example.noise_dim
        * words
        * PHILOX_OPERATIONS
        / limits["integer_operations"],
    }
