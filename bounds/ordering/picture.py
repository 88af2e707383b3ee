"""Measures against the gap, and rank correlations with their intervals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ground.pictures import LINES, MANY_LINES, REFERENCE, new_figure
from .measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_ordering"]

_COLUMNS = 2  # a phone shows two
_DECADES = 30


def draw_ordering(result: Mapping[str, Any]) -> "Figure":
    """Scatter plots, two in a row, and below them two panels of intervals.

    Args:
        result: what :meth:`Ordering.to_dict` gives.
    """
    rows = -(-len(MEASURES) // _COLUMNS) + 1
    heights = [1.0] * (rows - 1) + [1.6]
    figure = new_figure(_COLUMNS, rows, width=3.6, height=2.7, height_ratios=heights)
    panels = np.array(figure.axes).reshape(rows, _COLUMNS)
    for axes, name in zip(panels[:-1].flat, MEASURES, strict=False):
        _scatter(axes, result, name)
    for axes in panels[:-1].flat[len(MEASURES) :]:
        axes.set_visible(False)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), frameon=False, fontsize=8)
    for axes, target, title in zip(
        panels[-1], ("gap", "held_out_error"), ("with the gap", "with the held-out error"), strict=True
    ):
        _forest(axes, result, target, title)
    return figure


def _methods(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """In the order in which they were trained."""
    return list(dict.fromkeys(each["method"] for each in records))


def _scatter(axes: "Axes", result: Mapping[str, Any], name: str) -> None:
    records = result["records"]
    for style, method in zip(MANY_LINES * 3, _methods(records), strict=False):
        some = [each for each in records if each["method"] == method]
        axes.plot(
            [each[name] for each in some],
            [each["gap"] for each in some],
            label=method,
            **{**style, "linestyle": "none", "fillstyle": "none", "markersize": 5},
        )
    values = [each[name] for each in records]
    if min(values) > 0 and max(values) > _DECADES * min(values):  # a shorter logarithmic axis has labels that overlap
        axes.set_xscale("log")
    axes.set_xlabel(MEASURES[name].symbol)
    axes.set_ylabel("gap")
    (ranking,) = [each for each in result["rankings"] if each["name"] == name and each["target"] == "gap"]
    axes.set_title(rf"$\tau$ = {ranking['tau']:.2f} [{ranking['lower']:.2f}, {ranking['upper']:.2f}]", fontsize=8)


def _forest(axes: "Axes", result: Mapping[str, Any], target: str, title: str) -> None:
    rankings = [each for each in result["rankings"] if each["target"] == target][::-1]
    for y, each in enumerate(rankings):
        resolved = each["verdict"].startswith("orders")
        color = LINES[0]["color"] if resolved else REFERENCE["color"]
        axes.plot([each["lower"], each["upper"]], [y, y], color=color, linewidth=1.6)
        axes.plot([each["tau"]], [y], marker="o", color=color, fillstyle="full" if resolved else "none")
        axes.plot([each["partial"]], [y - 0.25], marker="|", color=LINES[1]["color"], markersize=7)
        axes.plot(
            [each["partial_lower"], each["partial_upper"]], [y - 0.25] * 2, color=LINES[1]["color"], linewidth=0.9
        )
    axes.axvline(0, color="black", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(rankings)), [MEASURES[each["name"]].symbol for each in rankings], fontsize=7)
    axes.set_xlim(-1, 1)
    axes.set_xlabel(r"$\tau$ (thin: given the control that explains most)", fontsize=8)
    axes.set_title(title, fontsize=9)
    axes.grid(visible=False, axis="y")
