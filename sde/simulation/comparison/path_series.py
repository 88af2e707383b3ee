"""What was observed along the paths of one process."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....ground.errors import InputError

__all__ = ["Array", "PathSeries"]

Array = NDArray[np.float64]

_LARGEST = 1e70  # ours: intervals have fourth powers, and 1e70^4 is far below the largest number, 1.8e308


@dataclass(frozen=True)
class PathSeries:
    """Observables along the paths of one process: of a rule, of an SDE, or of a flow.

    Attributes:
        name: such as "sam", "drift order 2" or "flow of drift order 3".
        times: of the looks, ``t = k eta``, shape ``(L,)``, increasing; the first is 0, so there are at least two.
        values: by observable, shape ``(paths, L)``, finite and at most 1e70 in size; kept in double
            precision.

    Raises:
        InputError: another shape, times that do not increase from 0, or a value that is not finite: the message names
            process, observable, path and time.

    Example:
        >>> paths = PathSeries("sam", [0.0, 0.1], {"loss": [[1.0, 0.8], [1.0, 0.7]]})
        >>> paths.paths, paths.values["loss"].shape
        (2, (2, 2))
        >>> PathSeries("sam", [0.0, 0.1], {"loss": [[1.0, float("nan")]]})
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: sam: 'loss' of path 0 is nan at t = 0.1; ...
    """

    name: str
    times: Array
    values: Mapping[str, Array]

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("a process has no name; give one, such as 'sam' or 'drift order 2'")
        times = _numbers(self.times, f"{self.name}: times")
        if times.ndim != 1 or len(times) < 2:
            raise InputError(
                f"{self.name}: times have shape {times.shape}; expected (L,) with the start and at least one later look"
            )
        if not np.isfinite(times).all() or times[0] != 0 or not (np.diff(times) > 0).all():
            raise InputError(
                f"{self.name}: times {_short(times)} do not increase from 0; give the times t = k eta of the looks in "
                "their order, with the start"
            )
        if not self.values:
            raise InputError(f"{self.name}: nothing was observed; give at least one observable")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", {each: self._checked(each, times) for each in self.values})
        counts = {each: len(array) for each, array in self.values.items()}
        if len(set(counts.values())) > 1:
            raise InputError(f"{self.name}: observables have numbers of paths {counts}; expected one number for all")

    @property
    def paths(self) -> int:
        """How many."""
        return len(next(iter(self.values.values())))

    def _checked(self, observable: str, times: Array) -> Array:
        array = _numbers(self.values[observable], f"{self.name}: values of '{observable}'")
        if array.ndim != 2 or array.shape[1] != len(times) or not len(array):
            raise InputError(
                f"{self.name}: '{observable}' has shape {array.shape}; expected (paths, {len(times)}): at least one "
                "path, and a value for each look"
            )
        usable = np.abs(array) <= _LARGEST  # false for what is no number
        if not usable.all():
            path, look = np.argwhere(~usable)[0]
            raise InputError(
                f"{self.name}: '{observable}' of path {path} is {array[path, look]} at t = {times[look]:g}; means and "
                f"distances take numbers up to {_LARGEST:g}: end the comparison before, or take a smaller step size or "
                "radius"
            )
        return array


def _numbers(values: ArrayLike, what: str) -> Array:
    """A copy that nobody writes to, so that what was checked stays so."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} are of type {array.dtype}; expected real numbers")
    result = np.array(array, dtype=np.float64)
    result.flags.writeable = False
    return result


def _short(times: Array) -> str:
    shown = ", ".join(f"{t:g}" for t in times[:4])
    return f"({shown}{', ...' if len(times) > 4 else ''})"
