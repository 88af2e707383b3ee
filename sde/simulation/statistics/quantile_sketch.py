"""Quantiles of a stream, with a guaranteed relative error and a confidence interval that supposes no law.

The buckets are those of DDSketch (Masson, Rim and Lee 2019): ``(gamma^{i-1}, gamma^i]`` with ``gamma = (1 + alpha) /
(1 - alpha)``, and their mirror images. Merging adds whole numbers, so it has no order. The authors' package takes one
number at a time; here arrays are taken, and one sketch holds the buckets of all components at all times.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc

from ....ground.errors import InputError
from .statistic import Arrays, FloatArray, IntArray, Intervals, columns

__all__ = ["QuantileSketch", "quantile_ranks"]

_TINY = float(np.finfo(np.float64).tiny)  # 2.2e-308; what is smaller counts as 0
_LOG_LARGEST = math.log(np.finfo(np.float64).max)
_FINEST, _COARSEST = 1e-4, 0.5  # ours: below, each value has a bucket of its own; above, nothing is said
_ROUNDING = 1e-6  # ours: share of the relative error that is kept for the rounding of logarithms, at most 1e-12


@dataclass(frozen=True)
class QuantileSketch:
    """How many values lie in each bucket, by component.

    A bucket's number is ``i`` shifted so that it is positive for positive values, the negative of that for their mirror
    images, and 0 for values below 2.2e-308 in size. Nothing collapses at extremes: there is a bucket for each finite
    number, of which those are kept that hold values. Memory is 16 bytes for each of these: per component at most
    ``2 + log(largest / smallest) / log(gamma)`` for each sign, about 900 for 10^7 normal values at 1 %.

    The error is relative to the distance from 0. For a narrow law far away, observe the distance from its centre.

    Attributes:
        alpha: relative error.
        shape: of a vector, ``(..., p)``.
        count: vectors so far.
        keys: increasing; bucket ``k`` of component ``c`` is ``c W + k`` with the constant ``W`` for all numbers.
        counts: values in that bucket, at least 1, the same shape.

    Example:
        >>> import numpy as np
        >>> sketch = QuantileSketch.of(np.arange(1.0, 1001.0)[:, None], alpha=0.01)
        >>> found = sketch.quantile_intervals(0.5)
        >>> abs(found.value.item() - 500) <= 5, found.low.round().tolist(), found.high.round().tolist()
        (True, [464.0], [534.0])
    """

    alpha: float
    shape: tuple[int, ...]
    count: int
    keys: IntArray
    counts: IntArray

    @classmethod
    def of(cls, values: ArrayLike, alpha: float) -> Self:
        """Of vectors, shape ``(n, ..., p)``, with a relative error from 1e-4 to 0.5.

        Raises:
            InputError: no vectors, numbers that are not finite, or an error outside.
        """
        if not _FINEST <= alpha <= _COARSEST:
            raise InputError(f"alpha = {alpha} is no relative error of quantiles; give {_FINEST:g} to {_COARSEST:g}")
        array = columns(values)
        *shape, count = array.shape
        sketch = cls(alpha, tuple(shape), count, np.empty(0, np.int64), np.empty(0, np.int64))
        buckets = np.sort(sketch._buckets(array).reshape(-1, count))
        keys = (buckets + sketch._width * np.arange(len(buckets))[:, None]).ravel()
        starts = _starts(keys)
        return replace(sketch, keys=keys[starts], counts=np.diff(starts, append=len(keys)))

    def merge(self, other: Self) -> Self:
        """Of both streams, in any order.

        Raises:
            InputError: another relative error, or vectors of another shape.
        """
        if (self.alpha, self.shape) != (other.alpha, other.shape):
            raise InputError(
                f"quantiles with alpha = {self.alpha} of shape {self.shape} and with alpha = {other.alpha} of shape "
                f"{other.shape} cannot be merged; observe the same with the same error"
            )
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")  # which takes two sorted parts as they are
        keys = keys[order]
        starts = _starts(keys)
        counts = np.add.reduceat(np.concatenate([self.counts, other.counts])[order], starts)
        return type(self)(self.alpha, self.shape, self.count + other.count, keys[starts], counts)

    def quantile(self, q: float) -> FloatArray:
        """The value of rank ``ceil(q n)`` (the smallest for 0) up to ``alpha`` of its size, shape ``(..., p)``.

        This is the quantile that numpy calls ``inverted_cdf``. Values below 2.2e-308 in size give 0.

        Raises:
            InputError: a number outside [0, 1].
        """
        if not 0 <= q <= 1:
            raise InputError(f"{q} is no quantile; give a number from 0 to 1")
        return self._value_of_rank(max(1, math.ceil(q * self.count)))

    def quantile_intervals(self, q: float, confidence: float = 0.95) -> Intervals:
        """Of the law's quantile, for independent values of any law, shape ``(..., p)``.

        The interval reaches from one value of the sample to another, see :func:`quantile_ranks`, and further by
        ``alpha`` at both ends. An end is infinite where there are too few values.

        Raises:
            InputError: a ``q`` or a confidence outside (0, 1).
        """
        value = self.quantile(q)
        low_rank, high_rank = quantile_ranks(self.count, q, confidence)
        low = self._outward(low_rank, -1) if low_rank >= 1 else np.full(self.shape, -np.inf)
        high = self._outward(high_rank, 1) if high_rank <= self.count else np.full(self.shape, np.inf)
        return Intervals(value, low, high)

    def _value_of_rank(self, rank: int) -> FloatArray:
        """The value of this rank (from 1) of each component, up to ``alpha`` of its size."""
        component = np.arange(math.prod(self.shape))
        place = np.searchsorted(np.cumsum(self.counts), component * self.count + rank)  # all have ``count`` values
        buckets = (self.keys[place] - component * self._width).reshape(self.shape)
        i = np.abs(buckets) + self._first
        middle = i * self._log_gamma + math.log1p(-self._narrow_alpha)
        result: FloatArray = np.sign(buckets) * np.exp(np.minimum(middle, _LOG_LARGEST))  # the last one reaches beyond
        return result

    def _outward(self, rank: int, direction: int) -> FloatArray:
        """The end in this direction (-1 or 1) of where the value of a rank may lie."""
        value = self._value_of_rank(rank)
        with np.errstate(over="ignore"):  # the largest numbers have no bound
            end: FloatArray = value / (1 - direction * self.alpha * np.sign(value)) + direction * _TINY * (value == 0)
        return end

    @property
    def _narrow_alpha(self) -> float:
        return self.alpha * (1 - _ROUNDING)

    @property
    def _log_gamma(self) -> float:
        return math.log1p(self._narrow_alpha) - math.log1p(-self._narrow_alpha)

    @property
    def _first(self) -> int:
        """``i`` of the bucket that would have the number 0."""
        return math.floor(math.log(_TINY) / self._log_gamma) - 2

    @property
    def _width(self) -> int:
        """More than the distance of any two numbers of buckets."""
        return 2 * (math.ceil(_LOG_LARGEST / self._log_gamma) + 2 - self._first) + 1

    def _buckets(self, array: FloatArray) -> IntArray:
        size = np.abs(array)
        ordinary = size >= _TINY
        size[~ordinary] = 1.0
        np.log(size, out=size)
        size /= self._log_gamma
        np.ceil(size, out=size)
        size -= self._first
        return np.where(ordinary, np.copysign(size, array), 0).astype(np.int64)

    def to_arrays(self) -> Arrays:
        """Exactly, as named arrays."""
        return {
            "alpha": np.array(self.alpha),
            "shape": np.array(self.shape, dtype=np.int64),
            "count": np.array(self.count, dtype=np.int64),
            "keys": self.keys,
            "counts": self.counts,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_arrays`."""
        shape = tuple(arrays["shape"].tolist())
        return cls(
            float(arrays["alpha"]), shape, int(arrays["count"]), np.array(arrays["keys"]), np.array(arrays["counts"])
        )


def _starts(keys: IntArray) -> IntArray:
    """Where each number begins in a sorted sequence."""
    return np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))


def quantile_ranks(count: int, q: float, confidence: float) -> tuple[int, int]:
    """Ranks ``(l, u)``, from 1, of values between which the law's ``q``-quantile lies, at least so often.

    The number of values below it is binomial: ``P(B <= l - 1)`` and ``P(B >= u)`` are each at most half of what is left
    (David and Nagaraja 2003, section 7.1). ``l = 0`` and ``u = n + 1`` stand for no bound.

    Raises:
        InputError: a ``q`` or a confidence outside (0, 1).

    Example:
        >>> quantile_ranks(100, 0.5, 0.95)
        (40, 61)
    """
    if not 0 < q < 1:
        raise InputError(f"the quantile {q} has no interval; give a number between 0 and 1")
    if not 0 < confidence < 1:
        raise InputError(f"confidence {confidence} is out of range; give a number between 0 and 1")
    half = (1 - confidence) / 2
    ranks = range(count + 1)
    low = bisect_right(ranks, half, key=lambda k: float(bdtr(k, count, q)))
    high = bisect_left(ranks, -half, key=lambda k: -float(bdtrc(k, count, q))) + 1
    return low, high
