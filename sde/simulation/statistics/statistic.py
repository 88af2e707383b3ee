"""What a statistic of a stream is, and the values that it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....ground.errors import InputError

__all__ = ["Arrays", "FloatArray", "IntArray", "Intervals", "Statistic", "columns", "grouped", "joined"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class Statistic(Protocol):
    """A value that no method changes, whose :meth:`merge` gives that of both streams one after the other."""

    def merge(self, other: Self) -> Self:
        """Of the values of both."""

    def to_arrays(self) -> Arrays:
        """Exactly, as named arrays."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The inverse of :meth:`to_arrays`."""


@dataclass(frozen=True)
class Intervals:
    """Estimates, each with its interval: a level holds for each alone, not for all of them together.

    Attributes:
        value: estimates.
        low: lower ends, the same shape; ``-inf`` where the data bound nothing.
        high: upper ends.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray


def joined(parts: Mapping[str, Statistic]) -> Arrays:
    """The arrays of all parts, named ``part/name``."""
    return {f"{part}/{name}": array for part, each in parts.items() for name, array in each.to_arrays().items()}


def grouped(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Arrays]:
    """The arrays of each part: the inverse of :func:`joined`.

    Example:
        >>> grouped({"a/x/y": np.array(1), "a/z": np.array(2)})
        {'a': {'x/y': array(1), 'z': array(2)}}
    """
    groups: dict[str, Arrays] = {}
    for name, array in arrays.items():
        part, inner = name.split("/", 1)
        groups.setdefault(part, {})[inner] = np.asarray(array)
    return groups


def columns(values: ArrayLike) -> FloatArray:
    """Values of shape ``(n, ...)`` in double precision, the ``n`` paths in consecutive memory: shape ``(..., n)``.

    A copy is made only where they are not so already. Sums along such an array have one order of summation, whatever
    strides the values came with.

    Raises:
        InputError: no values, or one that is not a finite number.

    Example:
        >>> columns([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).tolist()
        [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]
    """
    array = np.asarray(values)
    if array.ndim < 1 or array.size == 0:
        raise InputError(f"values have shape {array.shape}; expected (paths, ...) with at least one path and component")
    result = np.ascontiguousarray(np.moveaxis(array, 0, -1), dtype=np.float64)
    if not np.isfinite(result).all():
        place = tuple(np.argwhere(~np.isfinite(np.moveaxis(result, -1, 0)))[0].tolist())
        raise InputError(
            f"the value at {place} of {array.shape} (path first) is {array[place]}; statistics take finite numbers "
            "only: give a value to every path"
        )
    return result
