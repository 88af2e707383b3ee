"""Test accuracies of contests: picture, claims, tables."""

from typing import TYPE_CHECKING, Any

from ..ground.pictures import LINES, new_figure
from .contest_item import choices_table, chosen, grid, measured, optimizers, pairs, where
from .item import Claim, Table
from .seed_mean import has_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy_claims", "accuracy_tables", "draw_accuracies"]

Result = dict[str, Any]


def draw_accuracies(result: Result) -> "Figure":
    """A line for each cell: what each optimizer adds to the first one."""
    from .sweep import paired_last

    cells = measured(result)
    figure = new_figure(1, width=5.6, height=1.4 + 0.55 * len(cells))
    (axes,) = figure.axes
    for row, cell in enumerate(cells):
        first, *others = cell["optimizers"]
        for place, each in enumerate(others):
            found = paired_last(each, first, "test_accuracy", scale=100.0)
            width = found.half_width if has_interval(found) else 0.0
            label = each["name"] if row == 0 else None
            y = row + 0.24 * (place - (len(others) - 1) / 2)
            style = {**LINES[place + 1], "linestyle": "none"}
            axes.errorbar([found.mean], [y], xerr=[width], capsize=3, label=label, **style)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(cells)), [where(cell).replace(", ", "\n") for cell in cells])
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlabel(f"test accuracy minus {cells[0]['optimizers'][0]['name']}'s, points")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def accuracy_claims(result: Result, paper: str) -> list[Claim]:
    """Of each cell whether each optimizer is better than the one before it."""
    from .sweep_claims import accuracy_claim

    rows = []
    for cell in result["cells"]:
        for over, under in pairs(cell):
            said = f"{over['name']} is more accurate than {under['name']}: {where(cell)}"
            rows.append(accuracy_claim(over, under, f"{said} ({chosen(over)}; {chosen(under)})", paper))
    return rows


def accuracy_tables(result: Result) -> list[Table]:
    """Accuracies by network and data, and what was chosen."""
    from .sweep import last
    from .sweep_words import mean_text

    def words(cell: Any, name: str) -> str:
        return mean_text(last(optimizers(cell)[name], "test_accuracy", 100.0))

    header = ["network", "optimizer", *result["data"]]
    note = "Test accuracy after the last epoch, %, mean ± half width of the 95 % interval over seeds."
    return [Table(header, grid(result, words), right=range(2, len(header)), note=note), choices_table(result)]
