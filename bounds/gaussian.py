"""Isotropic Gaussian posterior and a grid of Gaussian priors (theory, section 6)."""

import math
from dataclasses import dataclass

from ..landscapes import InputError

__all__ = ["PriorGrid", "gaussian_kl"]


def gaussian_kl(dim: int, posterior_variance: float, prior_variance: float, squared_distance: float) -> float:
    """KL divergence of two isotropic Gaussians, in nats.

    ``KL(N(x, sigma^2 I) || N(x0, s^2 I)) = 1/2 [d (sigma^2/s^2 - 1 + ln(s^2/sigma^2)) + |x - x0|^2 / s^2]``

    Example:
        >>> gaussian_kl(10, 0.5, 0.5, 4.0)
        4.0
    """
    if not (posterior_variance > 0 and prior_variance > 0 and squared_distance >= 0):
        raise InputError(
            f"variances {posterior_variance}, {prior_variance}, squared distance {squared_distance}: "
            f"need positive variances and a distance of at least 0"
        )
    gap = posterior_variance / prior_variance - 1
    # gap - ln(1 + gap); the first form does not cancel near 0, the second does not overflow near -1
    logarithm = math.log1p(gap) if abs(gap) < 0.5 else math.log(posterior_variance) - math.log(prior_variance)
    spread = gap - logarithm
    return 0.5 * (dim * spread + squared_distance / prior_variance)


@dataclass(frozen=True)
class PriorGrid:
    """Priors ``N(x0, s_j^2 I)``, ``s_j^2 = c e^{-j/b}``, ``j = 1, 2, ...``.

    Prior ``j`` spends ``delta_j = 6 delta / (pi^2 j^2)``. The ``delta_j`` add up to ``delta``, so the best ``j`` may be
    chosen after seeing the data. ``c`` and ``b`` may not.

    Args:
        scale: ``c > 0``, the largest prior variance over ``e^{-1/b}`` (ours: 100, wider than any initialisation).
        density: ``b >= 1``, priors per factor e (ours: 10, so the nearest prior variance is within 5 %).

    Example:
        >>> grid = PriorGrid(scale=1.0, density=1.0)
        >>> round(grid.variance(1), 6), round(grid.confidence(1, 0.05), 6)
        (0.367879, 0.030396)
    """

    scale: float = 100.0
    density: float = 10.0

    def __post_init__(self) -> None:
        if not (0 < self.scale < math.inf and 1 <= self.density < math.inf):
            raise InputError(f"prior grid scale {self.scale}, density {self.density}: need scale > 0, density >= 1")

    def variance(self, j: int) -> float:
        """``s_j^2``."""
        return self.scale * math.exp(-j / self.density)

    def confidence(self, j: int, delta: float) -> float:
        """``delta_j``, the part of ``delta`` that prior ``j`` spends."""
        return 6 * delta / (math.pi * j) ** 2

    def best(self, dim: int, posterior_variance: float, squared_distance: float, delta: float) -> tuple[int, float]:
        """The ``j`` that minimises ``KL_j - ln(delta_j)``, and its ``KL_j``.

        ``KL_j`` alone is least next to the best continuous variance ``s^2 = sigma^2 + |x - x0|^2 / d``; as
        ``ln(j^2)`` is concave there can be a second minimum at small ``j``. Both are reached by walking downhill.
        """
        ideal = posterior_variance + squared_distance / dim

        def cost(j: int) -> float:
            kl = gaussian_kl(dim, posterior_variance, self.variance(j), squared_distance)
            return kl - math.log(self.confidence(j, delta))

        def descend(j: int) -> int:
            while j > 1 and cost(j - 1) <= cost(j):
                j -= 1
            while cost(j + 1) < cost(j):
                j += 1
            return j

        starts = {1, max(1, round(self.density * math.log(self.scale / ideal)))}
        best = min((descend(j) for j in starts), key=cost)
        return best, gaussian_kl(dim, posterior_variance, self.variance(best), squared_distance)
