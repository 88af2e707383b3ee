"""Shares of what a GPU was measured to do: copying, and arithmetic on integers. Not tried on a GPU yet."""

from collections.abc import Callable
from time import perf_counter

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


def shares(task: Task, path_steps: float, limits: dict[str, float]) -> dict[str, float]:
    """Of the limits, at so many path-steps per second.

    Copying counts as if every step read and wrote all states, which a call of many steps does once: more than 1 is what
    no loop over single steps can reach. A normal number takes one word of the generator in float32, two in float64.
    """
    words = {"float32": 1, "float64": 2}[task.dtype]
    traffic = path_steps * 2 * 4 * words * len(task.example.x0)
    integers = path_steps * task.example.noise_dim * words * PHILOX_OPERATIONS
    return {
        "path_steps_per_second": path_steps,
        "of_copy_bandwidth": traffic / limits["copy_bytes"],
        "of_integer_throughput": integers / limits["integer_operations"],
    }
