"""What both torus methods ask of times and test functions."""

import math

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.analytic.torus import TiltedTorus
from .claim import TestFunctions
from .torus_grid import TorusGrid

__all__ = ["check_periodic", "common_times", "periodic_test_functions"]


def periodic_test_functions(points: Tensor) -> Tensor:
    """Three smooth periodic test functions, shape ``(N, 3)``."""
    first, last = points[:, 0], points[:, -1]
    return torch.stack([first.sin() + 0.5 * last.cos(), (0.5 * (first - 1).cos()).exp(), (2 * last + 0.3).cos()], 1)


def common_times(horizon: float, counts: list[int], most: int) -> list[float]:
    """At most so many equally spaced times up to the horizon that are whole numbers of steps for every step size.

    Example:
        >>> common_times(1.0, [4, 12], 8)
        [0.25, 0.5, 0.75, 1.0]
    """
    common = math.gcd(*counts)
    parts = max(k for k in range(1, most + 1) if common % k == 0)
    return [horizon * (k + 1) / parts for k in range(parts)]


def check_periodic(test_functions: TestFunctions, landscape: TiltedTorus) -> None:
    """Refuse test functions that are not of period ``2 pi``, or not of shape ``(N, K)``.

    Raises:
        InputError: what was found.
    """
    points = TorusGrid(landscape.dim, 7, landscape.device).points + 0.1
    values = test_functions(points)
    if values.ndim != 2 or len(values) != len(points) or not values.is_floating_point():
        raise InputError(
            f"test functions give shape {tuple(values.shape)}, {values.dtype}, at {len(points)} points; expected "
            f"floats of shape ({len(points)}, K)"
        )
    for axis in range(landscape.dim):
        shift = 2 * torch.pi * torch.eye(landscape.dim, dtype=points.dtype, device=points.device)[axis]
        change = float((test_functions(points + shift) - values).abs().max())
        if not change <= 1e-9 * max(1.0, float(values.abs().max())):
            raise InputError(
                f"a test function changes by {change:.3g} when coordinate {axis + 1} grows by 2 pi; the torus method "
                "needs functions of period 2 pi, such as sin(x): use another one or another method"
            )
