"""The terms of Theorem 4.1 at the trained points of SGD, SAM and Eigen-SAM."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..bounds import bound_checkpoint
from ..landscapes import DataSet
from .figure1 import LABELS, run_directory
from .presets import Preset
from .style import new_figure

__all__ = ["measure", "plot"]

_GREYS = ("0.15", "0.4", "0.65", "0.88")
_HATCHES = ("", "//", "..", "")


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
    """The summands beside each other on a log scale (they differ by orders of magnitude), and the loss's bound 1."""
    figure = new_figure(1)
    figure.set_size_inches(7, 3.6)
    (axes,) = figure.axes
    names = [term["name"] for term in next(iter(bounds.values()))["terms"]]
    positions = np.arange(len(bounds))
    for index, name in enumerate(names):
        values = [bound["terms"][index]["value"] for bound in bounds.values()]
        axes.bar(
            positions + 0.2 * (index - 1.5),
            values,
            0.19,
            label=f"{name} ({next(iter(bounds.values()))['terms'][index]['kind']})",
            color=_GREYS[index],
            hatch=_HATCHES[index],
            edgecolor="black",
            linewidth=0.6,
        )
    axes.axhline(1.0, color="black", linestyle=":", linewidth=1)
    axes.text(len(bounds) - 0.55, 1.0, "vacuous\nfrom here", fontsize=8, va="bottom", ha="left")
    axes.set_yscale("log")
    axes.set_xticks(positions, [LABELS[name] for name in bounds])
    axes.set_xlim(-0.6, len(bounds) - 0.05)
    axes.set_ylabel("value (loss lies in [0, 1])")
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure
