"""Top eigenvalues in units of that of SAM with an equally long perturbation."""

import math
from typing import TYPE_CHECKING, Any

from ..ground.pictures import MANY_LINES, REFERENCE, new_figure, panels_are_stacked
from .beyond_control import LOWER
from .control_numbers import PairNumbers, Row, pair_numbers
from .seed_mean import has_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_controls"]

_SERIES: dict[tuple[str, bool], tuple[str, Any]] = {
    ("minibatch", False): ("minibatch's v", MANY_LINES[0]),
    ("whole", False): ("accurate v", MANY_LINES[1]),
    ("minibatch", True): ("minibatch's v, normalised", MANY_LINES[2]),
    ("whole", True): ("accurate v, normalised", MANY_LINES[3]),
    ("random", False): ("random v", REFERENCE),
}


def draw_controls(result: dict[str, Any]) -> "Figure":
    """A row for each pair, a column for each weight; filled marks are those of the answer *yes*."""
    numbers = pair_numbers(result)
    alphas = sorted({alpha for each in numbers for alpha in each.alphas})
    width, height = 3.6 if len(alphas) > 1 else 5.2, 2.4 if len(numbers) > 1 else 3.4  # the legend needs five inches
    stacked = panels_are_stacked()
    figure = new_figure(len(alphas), len(numbers), width=width, height=height)
    for place, axes in enumerate(figure.axes):
        pair, alpha = numbers[place // len(alphas)], alphas[place % len(alphas)]
        _draw(axes, pair, alpha)
        axes.set_title(f"{pair.pair['name']}, α = {alpha:g}, {pair.pair['seeds']} seeds", fontsize=10)
        if stacked or place % len(alphas) == 0:
            axes.set_ylabel("$λ_1$ / that of SAM,\nequal length", fontsize=9)
        if stacked or place >= len(alphas) * (len(numbers) - 1):
            axes.set_xlabel("k, steps between refreshes", fontsize=9)
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    columns = 1 if stacked else min(len(handles), max(2, len(alphas)))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=columns, fontsize=9, frameon=False
    )
    return figure


def _draw(axes: "Axes", pair: PairNumbers, alpha: float) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows = pair.eigen_rows(alpha)
    every = sorted({row.condition.refresh_every for row in rows})
    axes.axhspan(math.exp(-LOWER.margin), math.exp(LOWER.margin), color="0.93", zorder=0)
    axes.axhline(1, color="0.5", linewidth=0.8, zorder=1)
    for place, (kind, (label, style)) in enumerate(_SERIES.items()):
        mine = [row for row in rows if (row.condition.direction, row.condition.normalize) == kind]
        for row in mine:
            x = every.index(row.condition.refresh_every) + 0.15 * (place - (len(_SERIES) - 1) / 2)
            _mark(axes, x, row, style, label)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    fine, coarse = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1), (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
    ticks = [each for each in (fine if high < 1.25 * low else coarse) if low <= each <= high]
    axes.set_yticks(ticks)
    axes.minorticks_off()
    axes.set_xlim(-0.5, len(every) - 0.5)
    axes.set_xticks(range(len(every)), [f"{k}" for k in every])
    axes.grid(axis="x", visible=False)


def _mark(axes: "Axes", x: float, row: Row, style: dict[str, Any], label: str) -> None:
    assert row.control is not None
    ratio = row.control.difference
    middle = math.exp(ratio.mean)
    ends = [[0.0], [0.0]]
    if has_interval(ratio):
        ends = [[middle - math.exp(ratio.low)], [math.exp(ratio.high) - middle]]
    axes.errorbar(
        [x],
        [middle],
        yerr=ends,
        color=style["color"],
        marker=style["marker"],
        markerfacecolor=style["color"] if row.control.answer.startswith("yes") else "white",
        linestyle="none",
        linewidth=1.2,
        label=label,
    )
