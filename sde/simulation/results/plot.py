"""Curves of an ensemble as a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....ground.pictures import LINES, new_figure
from ..statistics.observed import ObservedStatistics
from .mean_intervals import mean_intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Curves", "draw_curves"]

Array = NDArray[np.float64]

_MOST_PANELS, _MOST_TRACES = 6, 30
_FEW = 12  # looks that are marked
_BANDS = ((0.05, 0.95, "0.88"), (0.25, 0.75, "0.76"))  # quantiles, and how light a grey lies between them
_PATH: Any = {"color": "0.45", "linewidth": 0.5, "zorder": 2}


@dataclass(frozen=True)
class Curves:
    """An observable over time.

    Attributes:
        labels: of its components.
        times: of the looks, shape ``(times,)``.
        observed: statistics.
        traces: values along some paths, shape ``(k, times, p)``; ``k`` may be 0.
        events: whether values are truth values, whose mean says all.
    """

    labels: Sequence[str]
    times: Array
    observed: ObservedStatistics
    traces: Array
    events: bool


def draw_curves(every: Sequence[Curves], title: str, confidence: float) -> "Figure":
    """One panel for each of the first components: mean with its interval, where paths lie, and some of them.

    Where paths lie is between quantiles if there are any, and else within a standard deviation of the mean.
    """
    places = [(curves, i) for curves in every for i in range(len(curves.labels))]
    shown = list(islice(places, _MOST_PANELS))
    columns = 2 if len(shown) in (2, 4) else min(len(shown), 3)
    figure = new_figure(columns, -(-len(shown) // columns), width=4.2, height=3.2)
    for axes, (curves, i) in zip(figure.axes, shown, strict=False):
        _draw(axes, curves, i, confidence)
    for axes in figure.axes[len(shown) :]:
        axes.set_axis_off()
    handles: dict[str, Any] = {}  # each name once
    for axes in figure.axes:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend: Any = {"loc": "outside lower center", "ncols": 2 if columns > 1 else 1, "fontsize": 9, "frameon": False}
    figure.legend(handles.values(), handles.keys(), **legend)
    rest = f"; the first {len(shown)} of {len(places)} curves" if len(places) > len(shown) else ""
    figure.suptitle(title + rest, fontsize=10)
    return figure


def _draw(axes: "Axes", curves: Curves, i: int, confidence: float) -> None:
    moments, t = curves.observed.moments, curves.times
    style = LINES[0]
    if moments.count > 1 and not curves.events:
        for low, high, grey, label in _bands(curves, i):
            axes.fill_between(t, low, high, color=grey, linewidth=0, zorder=1, label=label)
        for k, path in enumerate(curves.traces[:_MOST_TRACES, :, i]):
            axes.plot(t, path, **_PATH, label=None if k else f"{min(len(curves.traces), _MOST_TRACES)} of the paths")
    mark = style["marker"] if len(t) <= _FEW else None
    label = "mean" if moments.count > 1 else "the path"
    axes.plot(t, moments.mean[:, i], color=style["color"], marker=mark, markersize=4.5, zorder=4, label=label)
    if moments.count > 1:
        interval = mean_intervals(moments, confidence, events=curves.events)
        low, high = interval.low[:, i], interval.high[:, i]
        share = f"its {100 * confidence:g} % interval"
        axes.fill_between(t, low, high, color=style["color"], alpha=0.35, linewidth=0, zorder=3, label=share)
    axes.set_xlabel("time $t$")
    axes.set_ylabel(curves.labels[i])
    axes.margins(x=0.02)


def _bands(curves: Curves, i: int) -> Iterator[tuple[Array, Array, str, str]]:
    """Between which values many paths lie: lower and upper ends, grey, name."""
    sketch, moments = curves.observed.quantiles, curves.observed.moments
    if sketch is None:
        mean, deviation = moments.mean[:, i], moments.variance[:, i] ** 0.5
        yield mean - deviation, mean + deviation, _BANDS[0][2], "mean ± standard deviation"
        return
    for low, high, grey in _BANDS:
        label = f"{100 * (high - low):g} % of the paths"
        yield sketch.quantile(low)[:, i], sketch.quantile(high)[:, i], grey, label
