"""What can be compared: refusals that name what differs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....ground.errors import InputError
from ....ground.records import json_text
from .energy_distance import MOST_DIMENSIONS
from .path_series import Array, PathSeries

__all__ = ["check_about", "check_others", "check_states"]

_SAME_START = 1e-3  # ours: of the observable's size; single precision and an eigensolver's tolerance are below
_SAME_TIME = 1e-9  # ours: relative; k eta, computed in another order


def check_others(rule: PathSeries, others: Sequence[PathSeries], *, together: bool = True) -> None:
    """Same times, observables, numbers of paths and, where they are to start together, starts.

    Raises:
        InputError: they differ, two processes have one name, or there is none beside the rule.
    """
    if not others:
        raise InputError(f"there is nothing beside {rule.name}; give at least one process to compare it with")
    names = [rule.name, *(each.name for each in others)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two processes are called '{twice}'; give each a name of its own")
    for other in others:
        if len(other.times) != len(rule.times) or not np.allclose(other.times, rule.times, rtol=_SAME_TIME, atol=0):
            raise InputError(
                f"{other.name} was looked at {len(other.times)} times up to {other.times[-1]:g}, {rule.name} "
                f"{len(rule.times)} times up to {rule.times[-1]:g}; look at both at the same times"
            )
        if set(other.values) != set(rule.values):
            raise InputError(
                f"{other.name} has the observables {', '.join(other.values)}, {rule.name} has "
                f"{', '.join(rule.values)}; observe the same ones"
            )
        if other.paths not in (1, rule.paths):
            raise InputError(
                f"{other.name} has {other.paths} paths, {rule.name} has {rule.paths}; give one for each path of the "
                "rule, with its noise, or, of a flow, one for all"
            )
        for observable in rule.values if together else ():
            _check_start(rule, other, observable)


def _check_start(rule: PathSeries, other: PathSeries, observable: str) -> None:
    ours, theirs = rule.values[observable], other.values[observable]
    gaps = np.abs(theirs[:, 0] - ours[:, 0])
    size = max(np.abs(ours).max(), np.abs(theirs).max())
    path = int(gaps.argmax())
    if gaps[path] > _SAME_START * size:
        raise InputError(
            f"{other.name} and {rule.name} do not start together: '{observable}' of path {path} is "
            f"{theirs[path % len(theirs), 0]:g} and {ours[path, 0]:g} at t = 0; start path i of both at one point (one "
            "path of a flow stands for all only where all start together)"
        )


def check_about(about: Mapping[str, Any]) -> None:
    """Settings that JSON can hold, before hours of work wait to be written.

    Raises:
        InputError: they are not.
    """
    try:
        json_text(dict(about))
    except (TypeError, ValueError) as error:
        raise InputError(f"settings are not ready for JSON: {error}; give numbers, text, lists and mappings") from None


def check_states(
    processes: Sequence[PathSeries], states: Mapping[str, Array], times: Array
) -> tuple[dict[str, Array], Array]:
    """States and their times in double precision.

    Raises:
        InputError: states of a process that is not here, of another shape, in more than three dimensions, or not
            finite.
    """
    times = np.array(times, dtype=np.float64)
    paths = {each.name: each.paths for each in processes}
    rule = processes[0].name
    if not states:
        return {}, times
    if rule not in states or (unknown := set(states) - set(paths)):
        found = f"no states of {rule}" if rule not in states else f"states of {', '.join(sorted(unknown))}"
        raise InputError(f"there are {found}; give states of the rule, and of processes that are compared")
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise InputError(f"times of states are {times.tolist()}; expected increasing numbers, shape (K,)")
    arrays = {name: np.array(array, dtype=np.float64) for name, array in states.items()}
    d = arrays[rule].shape[-1] if arrays[rule].ndim == 3 else 0
    for name, array in arrays.items():
        if array.shape != (paths[name], len(times), d) or not 1 <= d <= MOST_DIMENSIONS:
            raise InputError(
                f"states of {name} have shape {array.shape}; expected ({paths[name]}, {len(times)}, d): paths, times, "
                f"and the same d of at most {MOST_DIMENSIONS} for all"
            )
        if not np.isfinite(array).all():
            path, look = np.argwhere(~np.isfinite(array).all(-1))[0]
            raise InputError(f"{name}: path {path} is at {array[path, look].tolist()} at t = {times[look]:g}")
    return arrays, times
