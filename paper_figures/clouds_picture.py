"""Clouds of points at three times on the level lines of a valley, and how far they are from SAM's."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from ..ground.pictures import MANY_LINES, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_clouds", "outline"]

_PANELS = {
    "sam": "SAM, the discrete algorithm",
    "drift order 1": "SDE, drift order 1 (SGD's)",
    "drift order 2": "SDE, drift order 2",
    "drift order 3": "SDE, drift order 3",
    "weak order 2": "SDE of weak order 2",
}
_LINES = {
    "drift order 1": MANY_LINES[4],
    "drift order 2": MANY_LINES[1],
    "drift order 3": MANY_LINES[0],
    "weak order 2": MANY_LINES[3],
    "exact drift": MANY_LINES[2],
}
_TIMES = ("#f0a63c", "#c8405f", "#43207a")  # light to dark, so that grey print keeps them apart
_SHARE = 0.9  # of SAM's chains in an outline
_BINS, _SMOOTH = 90, 1.6  # ours: of the grid on which densities are drawn, and the width of the filter in cells


def draw_clouds(result: dict[str, Any]) -> "Figure":
    """One panel for each process, with the outlines of SAM's clouds; and energy distances over time.

    Args:
        result: of :func:`compared_in_valley`, with the valley's numbers and the start.
    """
    clouds = {name: np.asarray(each) for name, each in result["points"].items()}
    shown = [name for name in _PANELS if name in clouds]
    every = np.concatenate([clouds[name].reshape(-1, 2) for name in shown])
    low, high = (np.array(every.min(0)), np.array(every.max(0)))
    margin = 0.08 * (high - low)
    low, high = low - margin, high + margin
    figure = new_figure(3, 2, width=4.2, height=3.1)
    for k, name in enumerate(shown):
        axes = figure.axes[k]
        _draw_valley(axes, result["valley"], low, high)
        for place, cloud in enumerate(clouds[name]):
            axes.scatter(
                cloud[:, 0], cloud[:, 1], s=3, color=_TIMES[place], alpha=0.45, linewidths=0, zorder=3, rasterized=True
            )
            x, y, density, level = outline(clouds["sam"][place], low, high)
            width = 0.8 if name == "sam" else 1.3
            axes.contour(x, y, density, levels=[level], colors="black", linewidths=width, zorder=4)
        star: Any = {"marker": "*", "s": 110, "color": "white", "edgecolors": "black", "linewidths": 0.9, "zorder": 5}
        axes.scatter(result["start"][0], result["start"][1], **star)
        if name == "sam":
            _label_times(axes, clouds[name], result["times"], high)
        else:
            said = ", ".join(f"{each['value']:.2g}" for each in result["energy_distances"][name])
            style: Any = {"ha": "right", "va": "bottom", "fontsize": 9.5, "zorder": 6}
            axes.text(0.98, 0.02, f"energy distances {said}", transform=axes.transAxes, **style)
            if k == 1:
                axes.text(0.98, 0.98, "outlines: SAM", transform=axes.transAxes, **style | {"va": "top"})
        axes.set_title(_PANELS[name], fontsize=11)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set(visible=True, color="0.6", linewidth=0.8)
    _draw_distances(figure.axes[len(shown)], result)
    return figure


def outline(
    points: "NDArray[np.float64]", low: "NDArray[np.float64]", high: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]":
    """A density of points on a grid, and its level above which 90 % of them lie.

    Args:
        points: shape ``(n, 2)``.
        low: corner of the grid.
        high: the opposite one.

    Example:
        >>> points = np.random.default_rng(0).standard_normal((2000, 2))
        >>> x, y, density, level = outline(points, np.full(2, -5.0), np.full(2, 5.0))
        >>> bool(0.88 < density[density >= level].sum() / density.sum() < 0.92)
        True
    """
    ranges = [(low[i], high[i]) for i in range(2)]
    counts, *edges = np.histogram2d(points[:, 0], points[:, 1], _BINS, ranges)
    density = gaussian_filter(counts.T, _SMOOTH)
    falling = np.sort(density.ravel())[::-1]
    level = falling[np.searchsorted(falling.cumsum(), _SHARE * falling.sum())]
    x, y = ((each[1:] + each[:-1]) / 2 for each in edges)
    return x, y, density, float(level)


def _draw_valley(axes: "Axes", v: dict[str, float], low: Any, high: Any) -> None:
    """The mean loss: darker is higher; the floor is dashed."""
    x, y = np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300)
    steep = v["flat"] + (v["sharp"] - v["flat"]) * (1 - np.tanh(x)) / 2
    heights = steep / 2 * (y[:, None] - v["bend"] * x**2) ** 2
    levels = heights.max() * np.linspace(0, 1, 15) ** 2.5
    axes.contourf(x, y, heights, levels=levels, cmap="Greys", vmin=0, vmax=heights.max() * 1.6, zorder=0)
    axes.contour(x, y, heights, levels=levels[1:], colors="0.78", linewidths=0.5, zorder=1)
    axes.plot(x, v["bend"] * x**2, color="0.45", linestyle="--", linewidth=0.8, zorder=2)


def _label_times(axes: "Axes", clouds: Any, times: Any, high: Any) -> None:
    from matplotlib.patheffects import withStroke

    for cloud, t in zip(clouds, times, strict=True):
        x, y = cloud[:, 0].mean(), np.quantile(cloud[:, 1], 0.99)
        style: Any = {"ha": "center", "va": "bottom", "fontsize": 12, "color": "black", "zorder": 6}
        style["path_effects"] = [withStroke(linewidth=3, foreground="white")]
        axes.annotate(f"$t = {t:g}$", (x, min(y + 0.12, high[1])), **style)


def _draw_distances(axes: "Axes", result: dict[str, Any]) -> None:
    times, found = result["times"], result["energy_distances"]
    floor = [each["high"] if each["high"] is not None else each["value"] for each in found["sam"]]
    for name, line in _LINES.items():
        if name not in found:
            continue
        values = [each["value"] for each in found[name]]
        ends = [
            [0.0 if each["low"] is None else each["value"] - each["low"] for each in found[name]],
            [0.0 if each["high"] is None else each["high"] - each["value"] for each in found[name]],
        ]
        axes.errorbar(times, values, yerr=ends, label=name, capsize=2, linewidth=1.4, **line)
    axes.set_yscale("log")
    bottom = min(floor) / 2
    axes.fill_between(times, floor, bottom, color="0.85", linewidth=0, zorder=0, label="SAM's own halves")
    axes.set_ylim(bottom=bottom)
    axes.set_xticks(times, [f"{t:g}" for t in times])
    axes.set_xlabel("time $t$")
    axes.set_title("energy distance to SAM", fontsize=11)
    axes.legend(fontsize=9, loc="lower left", frameon=False)
