"""The priors that a union bound runs over (theory, section 6)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ground.errors import InputError
from ..rounding.intervals import Intervals

__all__ = ["PriorGrid"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class PriorGrid:
    """Priors ``N(x0, s_k^2 I)``, ``s_k^2 = c e^{-k/(bm)}``, ``k = m, m+1, ...``, and the delta that each spends.

    With ``j = floor(k/m)``, prior ``k`` spends ``delta_k = w_k 6 delta / (pi^2 j^2)``: ``w_k = 1`` if ``m = 1``, else
    ``1/2`` on the coarse points ``k = mj`` and ``1/(2(m-1))`` between them. The ``delta_k`` add up to ``delta``, so the
    best ``k`` may be chosen after seeing the data. ``c``, ``b`` and ``m`` may not.

    The coarse points serve a sigma that is free: it adapts to the prior, and a denser grid would only cost more. The
    points between them serve a sigma that is given, whose best prior variance may lie so far from
    each coarse one that it costs ``d/(16 b^2)`` nats.

    Args:
        scale: ``c``, the largest prior variance over ``e^{-1/b}``, in [1e-12, 1e12] (ours: 100, wider than any
            initialisation).
        density: ``b``, coarse priors per factor e, in [1, 1000] (ours: 10, so the nearest coarse one is within 5 %).
        refinement: ``m``, points per coarse one, a whole number in [1, 10^4] (:meth:`for_dim` has one for each ``d``).

    Example:
        >>> grid = PriorGrid(scale=1.0, density=1.0)
        >>> round(grid.variance(1), 6), round(grid.confidence(1, 0.05), 6)
        (0.367879, 0.030396)
        >>> PriorGrid.for_dim(375_059).refinement
        31
    """

    scale: float = 100.0
    density: float = 10.0
    refinement: int = 1

    def __post_init__(self) -> None:
        if not (1e-12 <= self.scale <= 1e12 and 1 <= self.density <= 1000):
            raise InputError(
                f"prior grid scale {self.scale}, density {self.density}: "
                f"need scale in [1e-12, 1e12], density in [1, 1000]"
            )
        if isinstance(self.refinement, bool) or self.refinement not in range(1, 10**4 + 1):
            raise InputError(f"prior grid refinement {self.refinement}: need a whole number from 1 to 10^4")

    @classmethod
    def for_dim(cls, dim: int) -> "PriorGrid":
        """The default grid with ``m = ceil(sqrt(d) / (2b))``.

        The ``KL`` is ``d (1/t - 1 + ln t)/2`` above its least at ``t`` times the best prior variance. With ``bm``
        points per factor e the nearest one costs at most about ``d / (16 (bm)^2) <= 1/4`` nat.
        """
        return cls(refinement=min(10**4, max(1, math.ceil(math.sqrt(dim) / (2 * cls.density)))))

    def variance(self, k: int) -> float:
        """``s_k^2``, to the nearest float."""
        return self.scale * math.exp(-k / (self.density * self.refinement))

    def confidence(self, k: int, delta: float) -> float:
        """``delta_k``, the part of ``delta`` that prior ``k`` spends, to the nearest float."""
        return delta * math.exp(-float(self._log_shares(np.array([k]))[0]))

    def log_variances(self, k: Indices) -> Array:
        """``ln s_k^2`` of an array."""
        return math.log(self.scale) - k / (self.density * self.refinement)

    def costs(self, k: Indices, dim: int, log_ratio: Array, squared_distance: float) -> Array:
        """``KL_k + ln(delta / delta_k)`` at ``ln(sigma^2 / s_k^2) = log_ratio``, in floats, to compare priors with."""
        spread = dim * (np.expm1(log_ratio) - log_ratio)
        return 0.5 * (spread + squared_distance * np.exp(-self.log_variances(k))) + self._log_shares(k)

    def _log_shares(self, k: Indices) -> Array:
        share = 1.0 if self.refinement == 1 else np.where(k % self.refinement == 0, 2.0, 2.0 * (self.refinement - 1))
        logarithms: Array = 2 * np.log(math.pi * (k // self.refinement)) + np.log(share / 6)
        return logarithms

    def best(self, dim: int, posterior_variance: float, squared_distance: float) -> int:
        """The ``k`` with the least ``KL_k + ln(1/delta_k)`` at a given sigma.

        In ``k`` the ``KL`` is convex with its least at ``s^2 = sigma^2 + |x - x0|^2 / d``; at ``x`` more in ``ln s^2``
        it is ``d (x - 1 + e^{-x}) / 2`` above it, which soon exceeds what ``ln(1/delta_k)`` can gain on the way. So the
        best one is coarse or lies within a few ``1/sqrt(d)`` of there.
        """
        m, log_v = self.refinement, math.log(posterior_variance)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            log_ideal = float(np.logaddexp(log_v, np.log(squared_distance / dim)))
            nearest = max(m, round(self.density * m * (math.log(self.scale) - log_ideal)))
            reach = 2 * m + math.ceil(self.density * m * (16 / math.sqrt(dim) + 60 / dim))
            k = np.r_[m * np.arange(1, nearest // m + 2), max(m, nearest - reach) : nearest + 2 * m]
            costs = self.costs(k, dim, log_v - self.log_variances(k), squared_distance)
        return int(k[np.argmin(costs)])

    def interval(self, iv: Intervals, k: int) -> Any:
        """An interval that holds ``s_k^2``."""
        return iv.real(self.scale) * iv.exp(-iv.real(k) / (iv.real(self.density) * self.refinement))

    def intervals(self, iv: Intervals, k: int, delta: Any) -> tuple[Any, Any]:
        """Intervals that hold ``s_k^2`` and ``ln(1 / delta_k)``, for an interval ``delta``."""
        coarse, m = k // self.refinement, self.refinement
        share = 1 if m == 1 else 2 if k % m == 0 else 2 * (m - 1)
        return self.interval(iv, k), iv.log(share * (iv.pi * coarse) ** 2 / (6 * delta))
