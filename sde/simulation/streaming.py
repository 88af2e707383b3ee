"""Mean and covariance of a stream of vectors whose blocks come in their order, kept as JSON in a state file.

:class:`~eigensam.sde.simulation.statistics.moments.Moments` has more moments, and sums of another order.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .statistics.moments import pooled_products

__all__ = ["StreamingStatistics"]

Array = NDArray[np.float64]


@dataclass
class StreamingStatistics:
    """Count, mean and sum of products of deviations, merged block by block (Chan, Golub and LeVeque 1983).

    Attributes:
        count: vectors so far.
        mean: shape ``(p,)``.
        products: ``sum (v - mean) (v - mean)^T``, shape ``(p, p)``.

    Example:
        >>> import numpy as np
        >>> from eigensam.sde.simulation.streaming import StreamingStatistics
        >>> statistics = StreamingStatistics.empty(1)
        >>> for block in ([[1.0], [2.0]], [[3.0]]):
        ...     statistics.add(np.array(block))
        >>> statistics.mean.tolist(), statistics.covariance.tolist()
        ([2.0], [[1.0]])
    """

    count: int
    mean: Array
    products: Array

    @classmethod
    def empty(cls, size: int) -> Self:
        """Of no vector."""
        return cls(0, np.zeros(size), np.zeros((size, size)))

    def add(self, block: Array) -> None:
        """A block of vectors, shape ``(n, p)``."""
        mean = block.mean(0)
        deviations = block - mean
        total = self.count + len(block)
        shift = mean - self.mean
        self.products = pooled_products(self.products, deviations.T @ deviations, shift, self.count, len(block))
        self.mean = self.mean + shift * (len(block) / total)
        self.count = total

    @property
    def covariance(self) -> Array:
        """Unbiased, of one vector."""
        return self.products / (self.count - 1)

    def to_dict(self) -> dict[str, Any]:
        """Exactly, as JSON."""
        return {"count": self.count, "mean": self.mean.tolist(), "products": self.products.tolist()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(int(value["count"]), np.array(value["mean"]), np.array(value["products"]))
