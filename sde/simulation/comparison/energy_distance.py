"""How far apart the distributions of two processes' states are, by all functions of the state at once."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from .path_series import Array
from .squared_norms import squared_norm

__all__ = ["MOST_DIMENSIONS", "MOST_POINTS", "EnergyDistance", "energy_distance", "halves"]

MOST_DIMENSIONS = 3  # ours: beyond, few thousand points say little
MOST_POINTS = 5000  # ours: 2.5e7 distances, a few seconds
_CHUNK = 512  # rows of distances at a time


@dataclass(frozen=True)
class EnergyDistance:
    """The energy distance of two distributions: an estimate.

    ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``, which is 0 only for equal distributions (Székely and Rizzo 2013). Its unit
    is that of the state.

    Attributes:
        value: clipped at 0.
        low: lower end of its interval, clipped; None with fewer than three paths.
        high: upper end.
        points: how many paths were compared.
    """

    value: float
    low: float | None
    high: float | None
    points: int


def energy_distance(x: Array, y: Array, confidence: float = 0.95) -> EnergyDistance:
    """Of the states of coupled paths at one time.

    It is the squared norm of a mean difference, of ``|. - X_i| - |. - Y_i|`` in the space of functions where
    ``<|. - a|, |. - b|>`` is ``-|a - b|``: so the estimate is the mean over ``i != j`` of
    ``|X_i - Y_j| + |Y_i - X_j| - |X_i - X_j| - |Y_i - Y_j|``, in which no path meets its own twin, and the interval is
    the delete-one jackknife over paths with the same addition as that of a weak distance. Coupling is respected: both
    states of a path go together.

    Args:
        x: shape ``(n, d)``, at least two.
        y: shape ``(n, d)``, or ``(1, d)``: a process without noise, all of whose paths are one.
        confidence: of the interval.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((1000, 1))
        >>> found = energy_distance(x, x + 1.0)
        >>> found.low < 0.5387 < found.high  # two normal distributions, one apart
        True
    """
    n = len(x)
    y = np.broadcast_to(y, x.shape)
    kept = np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(np.int64)
    x, y, n = x[kept], y[kept], len(kept)
    rows, squares = np.empty(n), 0.0
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        kernel = cdist(x[part], y) + cdist(y[part], x) - cdist(x[part], x) - cdist(y[part], y)
        kernel[np.arange(len(kernel)), np.arange(start, start + len(kernel))] = 0.0
        rows[part] = kernel.sum(1)
        squares += float(np.vdot(kernel, kernel))
    value = float(rows.sum()) / (n * (n - 1))
    influence, degenerate = 2 * rows / max(n - 2, 1), 0.0
    if n > 2:
        means = rows / (n - 1)
        degenerate = squares / (n * (n - 1)) - 2 * float(means.var()) - value**2
    found = squared_norm(value, influence, degenerate, confidence)
    low, high = (None if end is None else max(end, 0.0) for end in (found.low, found.high))
    return EnergyDistance(max(value, 0.0), low, high, n)


def halves(x: Array) -> tuple[Array, Array]:
    """Every other path and the rest, of equal number: independent samples of one distribution, whose distance is 0.

    Example:
        >>> [each.tolist() for each in halves(np.arange(5.0)[:, None])]
        [[[0.0], [2.0]], [[1.0], [3.0]]]
    """
    even = len(x) - len(x) % 2
    return x[:even:2], x[1:even:2]
