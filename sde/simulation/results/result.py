"""What a simulation gives: statistics over time with intervals, final states, some trajectories."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....ground.errors import InputError
from ....ground.pictures import picture_path, write_picture
from ....ground.records import through_json
from ..statistics.observed import CellStatistics, ObservedStatistics
from ..statistics.statistic import Intervals
from .end_table import end_table
from .mean_intervals import mean_intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Simulation"]

Array = NDArray[np.float64]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # ours: of the JSON
_MOST_ROWS = 10  # ours: of a table in a notebook


@dataclass(frozen=True, repr=False)
class Simulation:
    """Paths of an SDE or a chain, as far as they are kept. All statistics are estimates; an interval says how far chance
    goes, for each number alone, and does not hold the error of the step. Prints as a table of what there is at the end.

    Attributes:
        times: of the looks, shape ``(times,)``; the first is the start.
        statistics: by observable: moments, quantiles, histogram.
        final: states at the end, shape ``(paths, d)``, or blocks by name; None if they were not kept.
        trajectories: of the first paths, shape ``(k, times, d)``, or blocks by name; None without any.
        traces: by observable, its values along these, shape ``(k, times, p)``; ``k`` is 0 without any.
        events: observables whose values are truth values, so that means are probabilities.
        labels: by observable, names of its components, such as ``x[0]``.
        paths: how many.
        dt: length of a step.
        steps: how many.
        scheme: its name; "the chain itself" of a chain.
        seed: of the random numbers.
        backend: "compiled", "eager", or "compiled numbers" (steps in batches): with one of them, results are the same
            to the last bit.
        how: why this backend, and what was not split.
        preparation: seconds before the first path: recording, splitting, most of compilation.
        seconds: that the paths took, without those that were there before.
        path_steps: steps of all paths that were computed in that time.
    """

    times: Array
    statistics: CellStatistics
    final: Any
    trajectories: Any
    traces: Mapping[str, Array]
    events: Collection[str]
    labels: Mapping[str, Sequence[str]]
    paths: int
    dt: float
    steps: int
    scheme: str
    seed: int
    backend: str
    how: str
    preparation: float
    seconds: float
    path_steps: int

    def __repr__(self) -> str:
        columns, rows = self.table()
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        lines = [f"Simulation of {self.run}", f"estimates at t = {self.times[-1]:g}"]
        for row in (columns, *rows[:_MOST_ROWS]):
            lines.append("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        if len(rows) > _MOST_ROWS:
            lines.append(f"  and {len(rows) - _MOST_ROWS} more rows")
        return "\n".join(lines)

    @property
    def run(self) -> str:
        """What was computed and how, for people."""
        paths = f"{self.paths} paths" if self.paths > 1 else "1 path"
        return (
            f"{paths}, {self.steps} steps of {self.dt:g} by {self.scheme}, seed {self.seed}; {self.backend}: {self.how}"
        )

    def table(self, confidence: float = 0.95) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of statistics at the end, as text: a row for each component of each observable."""
        return end_table(self.statistics, self.labels, self.events, confidence)

    @property
    def speed(self) -> str:
        """How fast it was, for people."""
        if not self.path_steps:
            return "all of it was there before"
        rate = f"{self.path_steps / self.seconds:.2g} path-steps per second"
        return f"{rate} ({self.path_steps:.3g} in {self.seconds:.3g} s, after {self.preparation:.3g} s of preparation)"

    def observed(self, name: str | None = None) -> ObservedStatistics:
        """Statistics of an observable; None: of the first.

        Raises:
            InputError: a name that was not observed.
        """
        names = list(self.statistics.observed)
        name = names[0] if name is None else name
        if name not in names:
            raise InputError(f"'{name}' was not observed; choose one of: {', '.join(names)}")
        return self.statistics[name]

    @property
    def mean(self) -> Array:
        """Of the first observable, which is the state by default: shape ``(times, d)``."""
        return self.observed().moments.mean

    def mean_intervals(self, name: str | None = None, confidence: float = 0.95) -> Intervals:
        """Of an observable's mean, shape ``(times, p)``: Student's, or Clopper and Pearson's of truth values.

        Args:
            name: of the observable; None: the first.
            confidence: of each interval alone.

        Raises:
            InputError: a name that was not observed, fewer than two paths, or a confidence outside (0, 1).
        """
        name = next(iter(self.statistics.observed)) if name is None else name
        return mean_intervals(self.observed(name).moments, confidence, events=name in self.events)

    @property
    def variance(self) -> Array:
        """Of the first observable's components, unbiased, shape ``(times, d)``."""
        return self.observed().moments.variance

    @property
    def covariance(self) -> Array:
        """Of the first observable, unbiased, shape ``(times, d, d)``."""
        return self.observed().moments.covariance

    def to_dict(self, confidence: float = 0.95) -> dict[str, Any]:
        """A JSON-ready dictionary of all statistics, None where there is no number; states are left out."""
        found: dict[str, Any] = {
            "paths": self.paths,
            "dt": self.dt,
            "steps": self.steps,
            "scheme": self.scheme,
            "seed": self.seed,
            "backend": self.backend,
            "how": self.how,
            "confidence": confidence,
            "times": self.times.tolist(),
            "kind": "estimate",
            "observables": {
                name: {"components": list(self.labels[name]), **_statistics(each, confidence, name in self.events)}
                for name, each in self.statistics.observed.items()
            },
        }
        result: dict[str, Any] = through_json(found)
        return result

    def plot(self, file: Path | str | None = None, *, name: str | None = None, confidence: float = 0.95) -> "Figure":
        """Draw observables over time: mean with its interval, where the paths lie, and those that were kept.

        Args:
            file: to write, by its ending: .svg, .pdf or .png; a name without ending: all three. None: none.
            name: of the observable; None: all, as far as there is room.
            confidence: of the mean's interval.

        Raises:
            InputError: another ending, or an observable that was not observed.
        """
        from .plot import Curves, draw_curves  # here: whoever draws nothing loads no matplotlib

        path = None if file is None else picture_path(file)
        names = list(self.statistics.observed) if name is None else [name]
        observed = [(n, self.observed(n)) for n in names]
        curves = [Curves(self.labels[n], self.times, each, self.traces[n], n in self.events) for n, each in observed]
        paths = f"{self.paths} paths" if self.paths > 1 else "1 path"
        figure = draw_curves(curves, f"{paths}, {self.scheme}, step {self.dt:g}", confidence)
        if path is not None:
            write_picture(figure, path)
        return figure


def _statistics(observed: ObservedStatistics, confidence: float, events: bool) -> dict[str, Any]:
    moments = observed.moments
    result: dict[str, Any] = {"mean": {"value": moments.mean.tolist()}}
    if moments.count > 1:
        result = {
            "mean": _interval(mean_intervals(moments, confidence, events=events)),
            "variance": _interval(moments.variance_intervals(confidence)),
            "covariance": moments.covariance.tolist(),
            "skewness": moments.skewness.tolist(),
            "kurtosis": moments.kurtosis.tolist(),
        }
    if observed.quantiles is not None:
        result["quantiles"] = {
            f"{q:g}": _interval(observed.quantiles.quantile_intervals(q, confidence)) for q in _QUANTILES
        }
    if observed.histogram is not None:
        density = _interval(observed.histogram.densities(confidence))
        result["histogram"] = {"edges": observed.histogram.edges.tolist(), "density": density}
    return result


def _interval(found: Intervals) -> dict[str, Any]:
    return {"value": found.value.tolist(), "low": found.low.tolist(), "high": found.high.tolist()}
