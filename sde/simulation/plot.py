"""A simulation as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...ground.errors import InputError
from ...ground.pictures import LINES, PICTURES, new_figure, render
from ...ground.records import write_atomically
from .result import Simulation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_simulation"]

_MOST_PANELS, _MOST_LINES = 6, 30


def draw_simulation(result: Simulation, file: Path | None, name: str | None, confidence: float) -> "Figure":
    """One panel for each of the first components of an observable; arguments as of :meth:`Simulation.plot`."""
    if file is not None and file.suffix not in PICTURES:
        raise InputError(f"{file} ends in '{file.suffix}'; choose one of: {', '.join(PICTURES)}")
    moments = result.observed(name).moments
    shown = name or next(iter(result.statistics.observed))
    panels = min(moments.mean.shape[1], _MOST_PANELS)
    columns = min(panels, 3)
    figure = new_figure(columns, -(-panels // columns))
    t, style = result.times, LINES[0]
    few = moments.count < 2
    deviation = 0 * moments.mean if few else moments.variance**0.5
    interval = None if few else moments.mean_intervals(confidence)
    for i, axes in enumerate(figure.axes):
        if i >= panels:
            axes.set_axis_off()
            continue
        mean = moments.mean[:, i]
        axes.fill_between(
            t, mean - deviation[:, i], mean + deviation[:, i], color="0.85", linewidth=0, label="one standard deviation"
        )
        if result.trajectories is not None and name is None and not isinstance(result.trajectories, dict):
            for path in result.trajectories[:_MOST_LINES, :, i].cpu():
                axes.plot(t, path, color="0.55", linewidth=0.5)
        if interval is not None:
            share = f"mean, {100 * confidence:g} % interval"
            axes.fill_between(t, interval.low[:, i], interval.high[:, i], color=style["color"], alpha=0.4, linewidth=0)
            axes.plot(t, mean, color=style["color"], label=share)
        else:
            axes.plot(t, mean, color=style["color"], label="mean")
        axes.set_xlabel("time $t$")
        axes.set_ylabel(f"{shown}, component {i}" if moments.mean.shape[1] > 1 else shown)
    figure.axes[0].legend(fontsize=8)
    figure.suptitle(f"{result.paths} paths, {result.scheme}, step {result.dt:g}", fontsize=10)
    if file is not None:
        write_atomically(file, render(figure, file.suffix[1:]))
    return figure
