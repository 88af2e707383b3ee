"""Operators that depend on time smoothly, as schedules make them, by interpolation between a few times."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from ...ground.errors import InputError
from .memory_grid import Interval

__all__ = ["OverTime", "Product", "backwards"]

_EXACT = 1e-12  # of the largest entry
_FEWEST, _MOST = 9, 129


class OverTime:
    """A matrix as a function of time, by polynomials through Chebyshev times.

    Args:
        matrix: at a time.
        horizon: the last time.
        count: of Chebyshev times; None: as many as it takes.

    Raises:
        InputError: a function that polynomials of high degree do not follow.

    Example:
        >>> import torch
        >>> found = OverTime(lambda t: torch.full((1, 1), t, dtype=torch.float64).cos(), 2.0)
        >>> round(found(1.0).item(), 9)
        0.540302306
    """

    def __init__(self, matrix: Callable[[float], Tensor], horizon: float, count: int | None = None) -> None:
        if count is not None or horizon <= 0:
            self._set(matrix, horizon, count or 1)
            return
        probes = [0.27182818 * horizon, 0.61803399 * horizon]
        truths = [matrix(t) for t in probes]
        matrix = _remembered(matrix)  # half of the next times are these
        count = _FEWEST
        while count <= _MOST:
            self._set(matrix, horizon, count)
            gap = max(float((self(t) - truth).abs().max()) for t, truth in zip(probes, truths, strict=True))
            if gap <= _EXACT * max(1.0, float(self._every.abs().max())):
                return
            count = 2 * count - 1
        raise InputError("a schedule changes too quickly to be followed; give a smoother one or a shorter T")

    def _set(self, matrix: Callable[[float], Tensor], horizon: float, count: int) -> None:
        self._horizon, self.count = horizon, count
        self._times = Interval(0.0, horizon).nodes(count if horizon > 0 else 1).numpy()
        self._signs = (-1.0) ** np.arange(len(self._times))
        self._signs[[0, -1]] /= 2
        self._every = torch.stack([matrix(float(t)) for t in self._times])

    def __call__(self, time: float) -> Tensor:
        """The matrix at a time."""
        gap = time - self._times
        near = np.flatnonzero(gap == 0)
        if len(near) or len(gap) == 1:
            return self._every[near[0] if len(near) else 0]
        weights = self._signs / gap  # barycentric, as in memory_grid; a few numbers are quicker in NumPy
        result: Tensor = torch.tensordot(torch.from_numpy(weights / weights.sum()), self._every, 1)
        return result

    def after(self, step: float) -> "OverTime":
        """The product with itself a step later, over a time that is shorter by that step."""
        return OverTime(lambda t: self(t) @ self(t + step), self._horizon - step, self.count)


class Product:
    """``P(t) P(t + h) ... P(t + (n - 1) h)`` for an operator of one step that depends on time smoothly.

    Products of ``2^j`` factors are smooth in time, too, so each is made of two of the one before.

    Args:
        matrix: ``P``.
        step: ``h``.
        horizon: the end of the last step.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> found = Product(lambda t: (1 + t) * one, 0.25, 1.0)
        >>> round(found.applied(one, 0.25, 3).item(), 9), 1.25 * 1.5 * 1.75
        (3.28125, 3.28125)
    """

    def __init__(self, matrix: Callable[[float], Tensor], step: float, horizon: float) -> None:
        self._step = step
        self._powers = [OverTime(matrix, horizon - step)]

    def applied(self, state: Tensor, start: float, count: int) -> Tensor:
        """So many factors, the first at the start, applied to a state."""
        for j in range(count.bit_length()):
            if j == len(self._powers):
                self._powers.append(self._powers[-1].after(2 ** (j - 1) * self._step))
            if count >> j & 1:
                count -= 1 << j
                state = self._powers[j](start + count * self._step) @ state
        return state


def _remembered(matrix: Callable[[float], Tensor]) -> Callable[[float], Tensor]:
    known: dict[float, Tensor] = {}

    def found(time: float) -> Tensor:
        key = round(time, 12)
        if key not in known:
            known[key] = matrix(time)
        return known[key]

    return found


def backwards(generator: Callable[[float], Tensor], state: Tensor, start: float, end: float) -> Tensor:
    """``u`` at the start of an interval of time, with ``du/dt = -L(t) u`` and ``u`` given at its end.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> round(backwards(lambda t: -2 * t * one, one, 0.0, 1.0).item(), 9)
        0.367879441
    """

    def slope(time: float, u: np.ndarray) -> "np.ndarray":
        moved: Tensor = generator(end - time) @ torch.from_numpy(u).reshape(state.shape)
        return moved.numpy().reshape(-1)

    found = solve_ivp(
        slope, (0.0, end - start), state.numpy().reshape(-1), "DOP853", [end - start], rtol=1e-12, atol=1e-14
    )
    return torch.from_numpy(found.y[:, -1].copy()).reshape(state.shape)
