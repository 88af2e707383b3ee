"""The terms of Theorem 4.1 at the trained points of SGD, SAM and Eigen-SAM."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..bounds.trained_point import bound_checkpoint
from ..ground.pictures import LINES, new_figure
from ..ground.workers import in_workers
from ..landscapes.runs.data import DataSet
from ..optim.settings import TrainSettings
from .figure1 import LABELS

__all__ = ["measure", "plot"]


def _bound_one(directory: Path, data: DataSet, device: str) -> dict[str, Any]:
    return bound_checkpoint(directory, data, device=device).to_dict()


def measure(
    runs: dict[TrainSettings, Path], data: DataSet, *, jobs: int, device: str, progress: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Theorem 4.1 for the first seed of every optimizer.

    In processes of one thread each: with more, sums are added in another order, which sigma, the minimum of a flat
    function, magnifies to differences of 1e-9.
    """
    first = min(settings.seed for settings in runs)
    ours = {settings.optimizer: path for settings, path in runs.items() if settings.seed == first}
    results = {}
    found = in_workers(_bound_one, ((path, data, device) for path in ours.values()), min(jobs, len(ours)))
    for optimizer, result in zip(ours, found, strict=True):
        results[optimizer] = result
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
