"""Operators that depend on time smoothly, as schedules make them, by interpolation between a few times."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from ...ground.errors import InputError
from .memory_grid import Interval, polynomial_weights

__all__ = ["OverTime", "backwards"]

_EXACT = 1e-12  # of the largest entry
_FEWEST, _MOST = 9, 129


class OverTime:
    """A matrix as a function of time, by polynomials through Chebyshev times; as many as it takes.

    Args:
        matrix: at a time.
        horizon: the last time.

    Raises:
        InputError: a function that polynomials of high degree do not follow.

    Example:
        >>> import torch
        >>> found = OverTime(lambda t: torch.full((1, 1), t, dtype=torch.float64).cos(), 2.0)
        >>> round(found(1.0).item(), 9)
        0.540302306
    """

    def __init__(self, matrix: Callable[[float], Tensor], horizon: float) -> None:
        count, interval = _FEWEST, Interval(0.0, horizon)
        probes = [0.27182818 * horizon, 0.61803399 * horizon]
        truths = [matrix(t) for t in probes]
        while True:
            self._axis = interval.nodes(count)
            self._every = torch.stack([matrix(float(t)) for t in self._axis])
            gap = max(float((self(t) - truth).abs().max()) for t, truth in zip(probes, truths, strict=True))
            if gap <= _EXACT * max(1.0, float(self._every.abs().max())):
                return
            count = 2 * count - 1
            if count > _MOST:
                raise InputError("a schedule changes too quickly to be followed; give a smoother one or a shorter T")

    def __call__(self, time: float) -> Tensor:
        """The matrix at a time."""
        weights = polynomial_weights(self._axis, torch.tensor([time], dtype=torch.float64))[0]
        return torch.tensordot(weights, self._every, 1)


def backwards(generator: Callable[[float], Tensor], state: Tensor, start: float, end: float) -> Tensor:
    """``u`` at the start of an interval of time, with ``du/dt = -L(t) u`` and ``u`` given at its end.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> round(backwards(lambda t: -2 * t * one, one, 0.0, 1.0).item(), 9)
        0.367879441
    """

    def slope(time: float, u: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        moved: Tensor = generator(end - time) @ torch.from_numpy(u).reshape(state.shape)
        return moved.numpy().reshape(-1)

    found = solve_ivp(slope, (0.0, end - start), state.numpy().reshape(-1), "DOP853", [end - start], rtol=1e-12, atol=1e-14)
    return torch.from_numpy(found.y[:, -1].copy()).reshape(state.shape)
