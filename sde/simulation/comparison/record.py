"""A comparison as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....ground.records import through_json
from .bands import band, band_name
from .path_series import Array, PathSeries
from .weak_distance import WeakDistance
from .words import Pair

__all__ = ["comparison_record"]


def comparison_record(
    about: Mapping[str, Any],
    processes: Sequence[PathSeries],
    distances: Mapping[str, Mapping[str, WeakDistance]],
    contrasts: Sequence[tuple[str, str, str, Pair]],
    confidence: float,
) -> dict[str, Any]:
    """Settings, means with bands, distances over the run and at each look, contrasts; None where there is no number.

    Args:
        about: settings.
        processes: the rule first.
        distances: by process, then observable.
        contrasts: processes a and b, observable, both.
        confidence: of each interval alone.
    """
    rule = processes[0]
    found: dict[str, Any] = {
        "kind": "estimate",
        "about": dict(about),
        "rule": rule.name,
        "paths": rule.paths,
        "confidence": confidence,
        "times": rule.times.tolist(),
        "band": band_name(rule.paths),
        "processes": {
            each.name: {name: _arrays(vars(band(each.values[name], confidence))) for name in rule.values}
            for each in processes
        },
        "distances": {
            process: {name: _arrays(vars(each)) | {"resolved": each.resolved} for name, each in of.items()}
            for process, of in distances.items()
        },
        "contrasts": [
            {
                "a": a,
                "b": b,
                "observable": observable,
                "value": pair.contrast.value,
                "low": pair.contrast.low,
                "high": pair.contrast.high,
                "closer": {-1: a, 0: None, 1: b}[pair.contrast.sign],
                "at_most_half": pair.half,
            }
            for a, b, observable, pair in contrasts
        ],
    }
    result: dict[str, Any] = through_json(found)
    return result


def _arrays(values: Mapping[str, Array | float | None]) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}
