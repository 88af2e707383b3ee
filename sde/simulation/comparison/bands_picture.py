"""Observables over time: means of a rule and of its SDEs with their bands, and the differences of the means below."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....ground.errors import InputError
from ....ground.pictures import MANY_LINES, REFERENCE, new_figure
from .bands import Band, band, band_name
from .path_series import PathSeries
from .weak_distance import WeakDistance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TITLES", "draw_bands"]

TITLES = {"lambda_1": r"top eigenvalue $\lambda_1$", "gap": r"gap $\lambda_1 - \lambda_2$"}
"""Of panels whose observable has a symbol."""

_DECADES = 10.0  # ours: largest over smallest mean, from which an axis is logarithmic
_FEW = 3  # processes, from which on edges of bands hide the means
_MARKS = 6  # along a line
_MOST_DECADES = 4.5  # ours: of a strip, below its largest difference
_RULE: Any = {"color": REFERENCE["color"], "linewidth": 4.0, "solid_capstyle": "butt", "zorder": 2}


def draw_bands(
    rule: PathSeries,
    others: Sequence[PathSeries],
    distances: Mapping[str, Mapping[str, WeakDistance]],
    confidence: float,
) -> "Figure":
    """One panel for each observable, and a strip below it.

    The panel has means, and bands that hold most paths; the strip the size of the difference of means from the rule,
    ``|E Delta(t)|``, with Student's interval at each look; where the interval contains 0 there is only its upper end,
    a thin line.

    Args:
        rule: the thick line.
        others: at most six.
        distances: to the rule, by process, then observable.
        confidence: of the intervals.

    Raises:
        InputError: more processes than there are styles.
    """
    if len(others) > len(MANY_LINES):
        raise InputError(
            f"{len(others)} processes are beside {rule.name}; a picture tells {len(MANY_LINES)} apart: draw fewer"
        )
    names = list(rule.values)
    columns = min(len(names), 2)
    rows = -(-len(names) // columns)
    figure = new_figure(columns, 2 * rows, height=2.1, height_ratios=[2.2, 1.0] * rows)
    for k, name in enumerate(names):
        row, column = divmod(k, columns)
        panel, strip = (figure.axes[(2 * row + i) * columns + column] for i in range(2))
        strip.sharex(panel)
        _draw_panel(panel, rule, others, name)
        _draw_strip(strip, others, {each: found[name] for each, found in distances.items()})
    for k in range(len(names), rows * columns):
        for i in range(2):
            figure.axes[(2 * (rows - 1) + i) * columns + k % columns].set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns + 1, fontsize=9, frameon=False)
    title = f"Means; bands hold {band_name(rule.paths)}. Below: difference of means from {rule.name}"
    if rule.paths > 1:
        title += f", with its {100 * confidence:g} % interval at each look; thin: at most so much, 0 is not excluded"
    figure.suptitle(textwrap.fill(title, 55 * columns), fontsize=10)
    return figure


def _draw_panel(axes: "Axes", rule: PathSeries, others: Sequence[PathSeries], name: str) -> None:
    t, ours = rule.times, band(rule.values[name])
    every = [ours, *(band(other.values[name]) for other in others)]
    if rule.paths > 1:
        axes.fill_between(t, ours.low, ours.high, color="0.86", linewidth=0, zorder=1)
    axes.plot(t, ours.mean, label=rule.name, **_RULE)
    for k, (other, found) in enumerate(zip(others, every[1:], strict=True)):
        style = MANY_LINES[k]
        if other.paths > 1:
            axes.fill_between(t, found.low, found.high, color=style["color"], alpha=0.1, linewidth=0, zorder=1)
            for edge in (found.low, found.high) if len(others) <= _FEW else ():
                axes.plot(t, edge, color=style["color"], linestyle=style["linestyle"], linewidth=0.5, zorder=1)
        axes.plot(t, found.mean, label=other.name, linewidth=1.5, zorder=3, **style, **_marks(len(t), k))
    if _spans_decades(every):
        axes.set_yscale("log")
    axes.set_title(TITLES.get(name, name), fontsize=10)
    axes.tick_params(labelbottom=False)
    axes.margins(x=0.02)


def _draw_strip(axes: "Axes", others: Sequence[PathSeries], distances: Mapping[str, WeakDistance]) -> None:
    largest = 0.0
    for k, other in enumerate(others):
        found, style, t = distances[other.name], MANY_LINES[k], other.times
        size = np.abs(found.difference)
        low, high = size, size
        if found.difference_low is not None and found.difference_high is not None:
            low = np.maximum(np.maximum(found.difference_low, -found.difference_high), 0.0)  # of |E Delta|
            high = np.maximum(np.abs(found.difference_low), np.abs(found.difference_high))
            axes.fill_between(t, low, high, where=low > 0, color=style["color"], alpha=0.2, linewidth=0, zorder=1)
            most = np.where((low > 0) | (high == 0), np.nan, high)
            axes.plot(t, most, color=style["color"], linestyle=style["linestyle"], linewidth=0.6, zorder=2)
        shown = np.where((low > 0) & (size > 0), size, np.nan)
        axes.plot(t, shown, linewidth=1.3, zorder=3, **style, **_marks(len(t), k))
        largest = max(largest, float(high[1:].max()))
    if largest > 0:
        from matplotlib.ticker import NullFormatter

        axes.set_yscale("log")
        smallest = min((float(x) for line in axes.lines for x in _positive(line.get_ydata())), default=largest)
        axes.set_ylim(max(min(smallest / 2, largest / 10), largest / 10**_MOST_DECADES), largest * 1.5)
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("time $t$")
    axes.set_ylabel("|difference|", fontsize=9)


def _positive(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    array = np.asarray(values, dtype=np.float64)[1:]
    return array[array > 0]


def _marks(looks: int, k: int) -> dict[str, Any]:
    """Few marks, each process at other looks."""
    every = max(looks // _MARKS, 1)
    return {"markevery": (k * every // len(MANY_LINES), every), "markersize": 4.0}


def _spans_decades(every: Sequence[Band]) -> bool:
    means = np.concatenate([each.mean for each in every])
    lows = np.concatenate([each.low for each in every])
    return bool(lows.min() > 0 and means.max() >= _DECADES * means.min())
