"""A comparison in a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .comparison import Comparison

__all__ = ["print_comparison"]

_CLOSE = 0.1  # ours: of a distance, above which the integrator's own error is named


def print_comparison(console: Console, found: Comparison, sdes: Sequence[str]) -> None:
    """Print how far each process is from the rule, and which of the SDEs is closer.

    Args:
        console: where to.
        found: what was compared.
        sdes: names of those that are compared with each other, neighbours in this order.
    """
    paths = f"{found.rule.paths} paths" if found.rule.paths > 1 else "1 path"
    title = f"distance to {found.rule.name} over t in [0, {found.rule.times[-1]:g}], {paths}"
    columns, rows = found.table()
    table = Table(title=title, box=None, pad_edge=False)
    for place, name in enumerate(columns):
        numbers = 2 <= place <= 3  # never cut: 2.9e-2 would read as 2.9
        widest = max(len(row[place]) for row in rows)
        table.add_column(
            name,
            justify="right" if numbers else "left",
            overflow="fold",
            min_width=min(widest, 22) if numbers else None,
        )
    before = ""
    for observable, *rest in rows:
        table.add_row("" if observable == before else observable, *rest)
        before = observable
    console.print(table)
    for near, far in zip(sdes[1:], sdes, strict=False):
        console.print(found.words(near, far), markup=False)
    if len(sdes) == 1:
        console.print(found.words(sdes[0]), markup=False)
    if kinks := found.about.get("kinks"):
        console.print(
            f"The loss has kinks ({', '.join(kinks)}): SDEs assume derivatives that these have not; theirs are those "
            "of the smooth pieces.",
            markup=False,
        )
    for name, error in found.about.get("integrator_error", {}).items():
        if error > _CLOSE:
            console.print(
                f"The integrator's own error along {name} is about {error:.0%} of the way: take more substeps (a "
                "smaller --dt).",
                markup=False,
            )
    for name, residual in found.about.get("eigenvector_residual", {}).items():
        if residual > _CLOSE:
            console.print(
                f"The eigenvectors that {name} followed have a relative residual of {residual:.2g}: they are poor; "
                "take more --power-iterations.",
                markup=False,
            )
    console.print("These are estimates, for this landscape, eta, rho and time; intervals are of each number alone.")
