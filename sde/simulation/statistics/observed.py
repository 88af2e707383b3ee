"""All statistics of one observable, and of all observables of some paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import ArrayLike, NDArray

from ....ground.errors import InputError
from .histogram import Histogram
from .moments import Moments
from .quantile_sketch import QuantileSketch
from .statistic import Arrays, Statistic, grouped, joined

__all__ = ["CellStatistics", "ObservedStatistics"]


@dataclass(frozen=True)
class ObservedStatistics:
    """Of one observable with values of shape ``(n, times, p)``.

    Attributes:
        moments: count, mean, covariance, central moments.
        quantiles: nothing if they are not asked for.
        histogram: nothing if it has no edges.

    Example:
        >>> one = ObservedStatistics.of([[[1.0]], [[3.0]]], edges=[0, 2, 4])
        >>> two = one.merge(one)
        >>> two.moments.mean.tolist(), two.histogram.counts.tolist(), two.quantiles
        ([[2.0]], [[[0, 2, 2, 0]]], None)
    """

    moments: Moments
    quantiles: QuantileSketch | None = None
    histogram: Histogram | None = None

    @classmethod
    def of(cls, values: ArrayLike, alpha: float | None = None, edges: ArrayLike | None = None) -> Self:
        """Of values, with quantiles of a relative error and a histogram between edges, if these are given.

        Raises:
            InputError: no paths, numbers that are not finite, and errors of the statistics.
        """
        sketch = None if alpha is None else QuantileSketch.of(values, alpha)
        return cls(Moments.of(values), sketch, None if edges is None else Histogram.of(values, edges))

    def merge(self, other: Self) -> Self:
        """Of the paths of both.

        Raises:
            InputError: statistics that only one of them has, and errors of the statistics.
        """
        pairs = [(self.quantiles, other.quantiles), (self.histogram, other.histogram)]
        if any((ours is None) != (theirs is None) for ours, theirs in pairs):
            raise InputError("only one of two cells has quantiles or a histogram; observe the same in both")
        sketch, histogram = self.quantiles, self.histogram
        if sketch is not None and other.quantiles is not None:
            sketch = sketch.merge(other.quantiles)
        if histogram is not None and other.histogram is not None:
            histogram = histogram.merge(other.histogram)
        return type(self)(self.moments.merge(other.moments), sketch, histogram)

    def to_arrays(self) -> Arrays:
        """Exactly, as arrays named ``statistic/name``."""
        parts: dict[str, Statistic | None] = {
            "moments": self.moments,
            "quantiles": self.quantiles,
            "histogram": self.histogram,
        }
        return joined({name: part for name, part in parts.items() if part is not None})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_arrays`."""
        parts = grouped(arrays)
        return cls(
            Moments.from_arrays(parts["moments"]),
            QuantileSketch.from_arrays(parts["quantiles"]) if "quantiles" in parts else None,
            Histogram.from_arrays(parts["histogram"]) if "histogram" in parts else None,
        )


@dataclass(frozen=True)
class CellStatistics:
    """Of all observables, by their names.

    Attributes:
        observed: statistics by name.
    """

    observed: Mapping[str, ObservedStatistics]

    def __getitem__(self, name: str) -> ObservedStatistics:
        """Those of one observable."""
        return self.observed[name]

    def merge(self, other: Self) -> Self:
        """Of the paths of both.

        Raises:
            InputError: other observables, and errors of the statistics.
        """
        if self.observed.keys() != other.observed.keys():
            raise InputError(
                f"statistics of {', '.join(self.observed)} and of {', '.join(other.observed)} cannot be merged; "
                "observe the same in all cells"
            )
        return type(self)({name: each.merge(other.observed[name]) for name, each in self.observed.items()})

    def to_arrays(self) -> Arrays:
        """Exactly, as arrays named ``observable/statistic/name``."""
        return joined(self.observed)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_arrays`."""
        return cls({name: ObservedStatistics.from_arrays(inner) for name, inner in grouped(arrays).items()})
