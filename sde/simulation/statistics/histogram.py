"""Histograms of a stream: exact counts between fixed edges, and densities with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from ....ground.errors import InputError
from .statistic import Arrays, FloatArray, IntArray, Intervals, columns

__all__ = ["Histogram", "checked_edges", "proportion_intervals"]


@dataclass(frozen=True)
class Histogram:
    """How many values lie between edges, by component; ``...`` are times, or nothing.

    A bin holds its lower edge, and the last one its upper edge, too, as numpy's do.

    Attributes:
        edges: increasing, shape ``(p, bins + 1)``.
        counts: of values below the first edge, in each bin, above the last edge: shape ``(..., p, bins + 2)``.

    Example:
        >>> both = Histogram.of([[0.5], [9.0]], [0, 1, 2]).merge(Histogram.of([[2.0]], [0, 1, 2]))
        >>> both.counts.tolist(), both.densities().value.round(2).tolist()
        ([[0, 1, 1, 1]], [[0.33, 0.33]])
    """

    edges: FloatArray
    counts: IntArray

    @classmethod
    def of(cls, values: ArrayLike, edges: ArrayLike) -> Self:
        """Of vectors, shape ``(n, ..., p)``, between edges of shape ``(bins + 1,)`` or ``(p, bins + 1)``.

        Raises:
            InputError: no vectors, numbers that are not finite; edges that do not increase, or of another shape.
        """
        array = columns(values)
        if array.ndim < 2:
            raise InputError(f"values have shape {array.shape}; expected (paths, ..., components)")
        *shape, p, count = array.shape
        found = checked_edges(edges, p)
        counts = np.empty((*shape, p, found.shape[1] + 1), np.int64)
        ordered = np.sort(array)
        for place in np.ndindex(*shape, p):
            row, own = ordered[place], found[place[-1]]
            below = np.searchsorted(row, own)
            below[-1] = np.searchsorted(row, own[-1], side="right")
            counts[place] = np.diff(below, prepend=0, append=count)
        return cls(found, counts)

    def merge(self, other: Self) -> Self:
        """Of both streams, in any order.

        Raises:
            InputError: other edges, or vectors of another shape.
        """
        if self.counts.shape != other.counts.shape or not np.array_equal(self.edges, other.edges):
            raise InputError(
                f"histograms of shapes {self.counts.shape} and {other.counts.shape} with edges {self.edges.tolist()} "
                f"and {other.edges.tolist()} cannot be merged; observe the same with the same edges"
            )
        return type(self)(self.edges, self.counts + other.counts)

    @property
    def count(self) -> int:
        """Vectors so far."""
        return int(self.counts.reshape(-1, self.counts.shape[-1])[0].sum())

    def densities(self, confidence: float = 0.95) -> Intervals:
        """The mean density in each bin, shape ``(..., p, bins)``; what lies outside of the edges is missing from 1.

        Raises:
            InputError: a confidence outside (0, 1).
        """
        found = proportion_intervals(self.counts[..., 1:-1], self.count, confidence)
        width = np.diff(self.edges)
        return Intervals(found.value / width, found.low / width, found.high / width)

    def to_arrays(self) -> Arrays:
        """Exactly, as named arrays."""
        return {"edges": self.edges, "counts": self.counts}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_arrays`."""
        return cls(np.array(arrays["edges"]), np.array(arrays["counts"]))


def checked_edges(edges: ArrayLike, components: int) -> FloatArray:
    """Edges of each component, shape ``(p, bins + 1)``.

    Raises:
        InputError: edges that are no numbers, do not increase, are not finite, or have another shape.
    """
    try:
        array = np.array(edges, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the edges of a histogram are {edges!r}; give numbers, as many for each component") from None
    if array.ndim == 1:
        array = np.repeat(array[None], components, axis=0)
    if array.ndim != 2 or array.shape[0] != components or array.shape[1] < 2:
        raise InputError(
            f"edges have shape {np.shape(edges)}; expected (bins + 1,) or ({components}, bins + 1), at least one bin"
        )
    if not (np.isfinite(array).all() and (np.diff(array) > 0).all()):
        raise InputError(
            "the edges of a histogram are not finite numbers that increase; sort them and drop repetitions"
        )
    return array


def proportion_intervals(counts: IntArray, count: int, confidence: float = 0.95) -> Intervals:
    """Probabilities of events seen ``counts`` times in ``count`` trials (Clopper and Pearson 1934): never too narrow.

    Raises:
        InputError: a confidence outside (0, 1).

    Example:
        >>> import numpy as np
        >>> found = proportion_intervals(np.array([0, 5]), 10)
        >>> found.low.round(3).tolist(), found.high.round(3).tolist()
        ([0.0, 0.187], [0.308, 0.813])
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence} is out of range; give a number between 0 and 1")
    half = (1 - confidence) / 2
    failures = count - counts
    low = np.where(counts == 0, 0.0, betaincinv(np.maximum(counts, 1), failures + 1, half))
    high = np.where(failures == 0, 1.0, betaincinv(counts + 1, np.maximum(failures, 1), 1 - half))
    return Intervals(counts / count, low, high)
