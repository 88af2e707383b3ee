"""The picture of three minima: contours with the training's path, and how the loss rises over all seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..ground.pictures import LINES, new_figure
from .optimizer_names import label
from .seed_mean import NO_INTERVAL, has_interval, seed_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_minima", "levels_of", "path_share", "points_outside"]

Plane = Mapping[str, Any]

_HALO = 2.6  # points of white around a path, which keeps it apart from dark contours


def path_share(plane: Plane) -> float:
    """Share of the path's squared distances from the minimum that lies in the plane.

    Example:
        >>> path_share({"trajectory": [{"distance": 3.0, "share": 0.0}, {"distance": 1.0, "share": 1.0}]})
        0.1
    """
    squares = [row["distance"] ** 2 for row in plane["trajectory"]]
    inside = math.fsum(row["share"] * square for row, square in zip(plane["trajectory"], squares, strict=True))
    return inside / math.fsum(squares) if any(squares) else 1.0


def points_outside(plane: Plane) -> int:
    """How many points of the path lie beyond the ends of the plane's axes.

    Example:
        >>> points_outside({"axis": [-1.0, 1.0], "trajectory": [{"a": 0.5, "b": -1.5}, {"a": 0.0, "b": 1.0}]})
        1
    """
    reach = max(plane["axis"])
    return sum(max(abs(row["a"]), abs(row["b"])) > reach for row in plane["trajectory"])


def levels_of(planes: Sequence[Plane]) -> list[float]:
    """Contour levels that all planes share: 1, 2 and 5 times powers of ten, over all of their losses.

    Example:
        >>> levels_of([{"losses": [[0.03, 0.4]]}, {"losses": [[0.2, 1.5]]}])
        [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    """
    losses = [loss for plane in planes for row in plane["losses"] for loss in row if math.isfinite(loss) and loss > 0]
    low, high = min(losses), max(losses)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    every = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    first = max(k for k, level in enumerate(every) if level <= low)
    last = next((k for k, level in enumerate(every) if level >= high), len(every) - 1)
    return every[first : max(last, first + 1) + 1]


def draw_minima(result: Mapping[str, Any]) -> "Figure":
    """(a) to (c) the planes, with the same levels and axes; (d) rises along the first direction and a random one.

    Args:
        result: of the item ``minima``.
    """
    names = list(result["runs"])
    figure = new_figure(2, math.ceil((len(names) + 1) / 2), width=4.9, height=3.9)
    panels = figure.axes
    planes = {name: result["runs"][name][0]["plane"] for name in names}
    levels = levels_of(list(planes.values()))
    for letter, axes, name in zip("abcdef", panels, names, strict=False):
        _draw_plane(axes, planes[name], levels)
        axes.set_title(f"({letter}) training loss, {label(name)}, seed {result['runs'][name][0]['seed']}")
    _draw_rises(panels[len(names)], result)
    panels[len(names)].set_title(f"({'abcdef'[len(names)]}) rise of the loss, all seeds")
    for axes in panels[len(names) + 1 :]:
        axes.remove()
    return figure


def _draw_plane(axes: "Axes", plane: Plane, levels: list[float]) -> None:
    from matplotlib.patheffects import Normal, Stroke

    axis = plane["axis"]
    # Contours of logarithms: those of losses, interpolated linearly between points, have corners near a minimum.
    heights = [
        [math.log10(max(loss, levels[0])) if math.isfinite(loss) else math.nan for loss in row]
        for row in plane["losses"]
    ]
    logs = [math.log10(level) for level in levels]
    filled = axes.contourf(axis, axis, heights, levels=logs, cmap="Blues", alpha=0.85)
    axes.contour(axis, axis, heights, levels=logs, colors="0.25", linewidths=0.6, linestyles="solid")
    ticks = [value for value, level in zip(logs, levels, strict=True) if f"{level:e}"[0] == "1"]
    beside = axes.inset_axes((1.03, 0.0, 0.05, 1.0))  # as high as the panel, whose sides are equal
    bar = axes.figure.colorbar(filled, cax=beside, ticks=ticks)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{10**value:g}")
    path = plane["trajectory"]
    a, b = [row["a"] for row in path], [row["b"] for row in path]
    halo = [Stroke(linewidth=_HALO, foreground="white"), Normal()]
    axes.plot(a, b, color="#a02c10", linewidth=1.2, marker="o", markersize=3.5, path_effects=halo, label="path")
    axes.plot(a[:1], b[:1], color="black", marker="s", linestyle="none", markersize=7, path_effects=halo, label="start")
    axes.plot([0], [0], color="black", marker="*", linestyle="none", markersize=11, path_effects=halo, label="minimum")
    axes.legend(loc="upper right", frameon=True, framealpha=0.9, fontsize=8)
    said = f"{100 * path_share(plane):.2g} % of the path lies in this plane"
    if path:
        said += f"\nstart: loss {path[0]['loss']:.2g}, drawn where it is {path[0]['drawn_loss']:.2g}"
    box = {"facecolor": "white", "alpha": 0.9, "edgecolor": "none", "pad": 2}
    axes.text(0.02, 0.02, said, transform=axes.transAxes, fontsize=8, bbox=box, verticalalignment="bottom")
    axes.set_xlim(axis[0], axis[-1])
    axes.set_ylim(axis[0], axis[-1])
    axes.set_aspect("equal")
    axes.set_xticks([axis[0], axis[0] / 2, 0, axis[-1] / 2, axis[-1]])
    axes.set_yticks(axes.get_xticks())
    axes.set_xlabel(r"$a$ along $d_1$, filter lengths")
    axes.set_ylabel(r"$b$ along $d_2$, filter lengths")
    axes.grid(visible=False)


def _draw_rises(axes: "Axes", result: Mapping[str, Any]) -> None:
    distances, banded = result["distances"], True
    for key, words in (("rise", "$d_1$"), ("random_rise", "random")):
        for (name, runs), line in zip(result["runs"].items(), LINES, strict=False):
            style = line if key == "rise" else {**line, "markerfacecolor": "white", "linewidth": 0.9}
            found = [seed_mean([run[key][k] for run in runs]) for k in range(len(distances))]
            axes.plot(distances, [i.mean for i in found], label=f"{label(name)}, {words}", **style)
            if banded := banded and all(map(has_interval, found)):
                # A logarithmic axis has no place for what an interval says of numbers below zero.
                low = [i.low if i.low > 0 else i.mean / 100 for i in found]
                axes.fill_between(distances, low, [i.high for i in found], color=line["color"], alpha=0.18, lw=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axvline(result["distance"], color="0.45", linewidth=0.9, linestyle=":", zorder=0)
    axes.set_xlabel(r"distance $r$ from the minimum, filter lengths")
    axes.set_ylabel("rise of the training loss")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * (top / bottom) ** 0.25)  # room for the legend
    axes.legend(fontsize=8, ncols=2, loc="upper left", title=None if banded else NO_INTERVAL)
