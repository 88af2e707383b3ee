"""Paths in the plane on the level lines of a loss."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....ground.errors import InputError
from ....ground.pictures import MANY_LINES, new_figure
from .path_series import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_portrait"]

_MOST_PATHS = 12  # ours: more hide each other
_GRID = 160  # points along an axis
_LEVELS = 14
_RULE = "0.35"  # grey, darker than level lines


def draw_portrait(states: Mapping[str, Array], times: Array, loss: Callable[[Array], Array]) -> "Figure":
    """A panel for each process, all with the same axes and level lines; start and ends are marked.

    Args:
        states: by process, the rule first, shape ``(paths, K, 2)``.
        times: shape ``(K,)``.
        loss: of points, shape ``(n, 2)``, gives shape ``(n,)``.

    Raises:
        InputError: no states, states that are not in the plane, fewer than two times, or a loss of another shape.
    """
    found = next(iter(states.values())).shape if states else ()
    if len(found) != 3 or found[2] != 2 or found[1] < 2:
        what = f"states have shape {found}" if states else "no states were kept"
        raise InputError(f"{what}; a portrait takes states in two dimensions, at two times or more")
    low, high = _window(list(states.values()))
    x, y = (np.linspace(low[i], high[i], _GRID) for i in range(2))
    points = np.stack(np.meshgrid(x, y), -1)
    heights = np.asarray(loss(points.reshape(-1, 2)), dtype=np.float64)
    if heights.shape != (_GRID * _GRID,):
        raise InputError(f"the loss gives shape {heights.shape} at {_GRID * _GRID} points; expected one number each")
    heights = heights.reshape(_GRID, _GRID)
    columns = min(len(states), 3)
    rows = -(-len(states) // columns)
    figure = new_figure(columns, rows, width=3.4, height=3.4)
    for k, (name, paths) in enumerate(states.items()):
        axes = figure.axes[k]
        levels = _levels(heights)
        if len(levels) > 1:
            axes.contour(x, y, heights, levels=levels, colors="0.72", linewidths=0.7, zorder=1)
        _draw_paths(axes, paths, _RULE if k == 0 else MANY_LINES[(k - 1) % len(MANY_LINES)]["color"])
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$x_0$")
        axes.set_title(name, fontsize=10)
        axes.grid(visible=False)
        if k % columns == 0:
            axes.set_ylabel("$x_1$")
        else:
            axes.tick_params(labelleft=False)
    for axes in figure.axes[len(states) :]:
        axes.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    figure.suptitle(f"Paths from t = {times[0]:g} to {times[-1]:g} on level lines of the loss", fontsize=10)
    return figure


def _draw_paths(axes: "Axes", paths: Array, colour: str) -> None:
    shown = paths[np.linspace(0, len(paths) - 1, min(len(paths), _MOST_PATHS)).astype(np.int64)]
    for k, path in enumerate(shown):
        label = None if k else "path" if len(paths) == 1 else f"{len(shown)} of {len(paths)} paths"
        axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=0.9, alpha=0.6, zorder=2, label=label)
    cloud = paths[np.linspace(0, len(paths) - 1, min(len(paths), 50 * _MOST_PATHS)).astype(np.int64), -1]
    axes.scatter(cloud[:, 0], cloud[:, 1], s=14, color=colour, alpha=0.8, linewidths=0, zorder=3, label="end")
    starts = np.unique(shown[:, 0], axis=0)
    style: Any = {"marker": "*", "s": 90, "color": "white", "edgecolors": "black", "linewidths": 0.9, "zorder": 4}
    axes.scatter(starts[:, 0], starts[:, 1], label="start", **style)


def _window(states: list[Array]) -> tuple[Array, Array]:
    """What all paths need, and some room."""
    points = np.concatenate([each.reshape(-1, 2) for each in states])
    low, high = points.min(0), points.max(0)
    room = 0.08 * np.maximum(high - low, 1e-12 + 0.1 * (high - low).max())
    return low - room, high + room


def _levels(heights: Array) -> Array:
    """Between the lowest and the highest: closer to each other near the lowest, as a valley has it."""
    finite = heights[np.isfinite(heights)]
    low, high = float(finite.min()), float(finite.max())
    levels: Array = np.unique(low + (high - low) * np.linspace(0.02, 1, _LEVELS) ** 2)
    return levels if high > low else levels[:1]
