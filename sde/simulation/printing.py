"""A simulation in a terminal."""

import math

from rich.console import Console
from rich.table import Table

from .result import Simulation

__all__ = ["print_simulation", "statistics_table"]

_QUANTILES = (0.05, 0.5, 0.95)
_MOST_ROWS = 20


def print_simulation(console: Console, result: Simulation, what: str, confidence: float = 0.95) -> None:
    """Print where the paths are at the end, how they were moved, and how fast.

    Args:
        console: where to.
        result: what was simulated.
        what: a title.
        confidence: of the intervals.
    """
    console.print(statistics_table(result, what, confidence))
    size = len(result.mean[-1])
    if size > _MOST_ROWS:
        console.print(f"the first {_MOST_ROWS} of {size} components")
    console.print("These are estimates, each with an interval of its own; the step's error is not in them.")
    console.print(
        f"{result.paths} paths of {result.steps} steps of {result.dt:g} by {result.scheme}, seed {result.seed}; "
        f"{result.backend}: {result.how}",
        markup=False,
    )
    console.print(result.speed)


def statistics_table(result: Simulation, what: str, confidence: float = 0.95) -> Table:
    """The first observable at the end, a row for each component."""
    observed = result.observed()
    name = next(iter(result.statistics.observed))
    quantiles = [] if observed.quantiles is None else [observed.quantiles.quantile(q)[-1] for q in _QUANTILES]
    heads = [f"{100 * q:g} %" for q in _QUANTILES] if quantiles else []
    table = Table(
        name,
        "mean",
        f"{100 * confidence:g} % interval",
        "standard deviation",
        *heads,
        title=f"{what}: at t = {result.times[-1]:g}",
    )
    moments = observed.moments
    means = moments.mean_intervals(confidence) if moments.count > 1 else None
    for i, mean in enumerate(moments.mean[-1][:_MOST_ROWS]):
        interval, spread = "", ""
        if means is not None:
            interval = f"[{means.low[-1, i]:.6g}, {means.high[-1, i]:.6g}]"
            spread = f"{math.sqrt(moments.variance[-1, i]):.4g}"
        table.add_row(str(i), f"{mean:.6g}", interval, spread, *(f"{each[i]:.4g}" for each in quantiles))
    return table
