"""A simulation in a terminal."""

from rich.console import Console
from rich.table import Table

from .result import Simulation

__all__ = ["print_simulation"]

_MOST_ROWS = 20


def print_simulation(console: Console, result: Simulation, what: str) -> None:
    """Print where the paths are at the end, how they were moved, and how fast.

    Args:
        console: where to.
        result: what was simulated.
        what: a title.
    """
    columns, rows = result.table()
    table = Table(title=f"{what}: at t = {result.times[-1]:g}", box=None, pad_edge=False)  # six numbers, 80 columns
    for name in columns:
        table.add_column(name.replace("standard ", "standard\n"), no_wrap=True, justify="right")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*row)
    console.print(table)
    if len(rows) > _MOST_ROWS:
        console.print(f"the first {_MOST_ROWS} of {len(rows)} rows; the JSON has all")
    console.print("These are estimates; the intervals do not hold the error of the step.")
    console.print(result.run, markup=False)
    console.print(result.speed)
