"""The terms of Theorem 4.1 at the trained points of SGD, SAM and Eigen-SAM."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..bounds import bound_checkpoint
from ..landscapes import DataSet
from ..landscapes.pictures import LINES, new_figure
from .figure1 import LABELS, run_directory
from .presets import Preset

__all__ = ["measure", "plot"]


def measure(
    preset: Preset, data: DataSet, out: Path, *, device: str, progress: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Theorem 4.1 for the first seed of every optimizer."""
    results = {}
    for settings in preset.runs():
        if settings.seed == preset.seeds[0]:
            results[settings.optimizer] = bound_checkpoint(run_directory(out, settings), data, device=device).to_dict()
            progress()
    return results


def plot(bounds: dict[str, dict[str, Any]]) -> Figure:
    """Every term of every network on a log scale (they differ by orders of magnitude), and the loss's own bound 1."""
    figure = new_figure(1)
    figure.set_size_inches(6.4, 3.4)
    (axes,) = figure.axes
    terms = next(iter(bounds.values()))["terms"]
    for index, (name, bound) in enumerate(bounds.items()):
        values = [*(term["value"] for term in bound["terms"]), bound["bound"]]
        positions = [i + 0.16 * (index - (len(bounds) - 1) / 2) for i in range(len(values))]
        style = {**LINES[index], "linestyle": "none", "markersize": 7}
        axes.plot(positions, values, label=LABELS[name], **style)
    axes.axhline(1.0, color="black", linestyle=":", linewidth=1, label="vacuous from here")
    axes.set_yscale("log")
    labels = [f"{term['name']}\n({term['kind']})" for term in terms]
    axes.set_xticks(range(len(labels) + 1), [*labels, "sum\n(estimate)"])
    axes.set_ylabel("value (loss lies in [0, 1])")
    axes.set_title(r"terms of Theorem 4.1, $\delta$ = " + f"{next(iter(bounds.values()))['delta']:g}")
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
