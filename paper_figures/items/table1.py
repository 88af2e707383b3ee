"""Table 1 of the paper: test accuracies of SGD, SAM and Eigen-SAM."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, new_figure
from ..contest_item import ContestItem, choices_table, grid, optimizers, pairs, where
from ..item import Claim, Table
from ..registry import ITEMS
from ..seed_mean import has_interval
from ..verdict import above

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..contest import Contest

__all__ = ["Table1", "accuracy_claims", "accuracy_tables", "draw_accuracies"]

Result = dict[str, Any]


def _quick() -> "tuple[Contest, ...]":
    from ...optim.training.settings import TrainSettings
    from ..contests import contest

    return (contest(TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=30), refresh_every=10),)


@ITEMS.register("table1", order=11)
@dataclass(frozen=True)
class Table1(ContestItem):
    """Accuracies of every network on every data set.

    Attributes:
        contests: cells that are run.
    """

    label = "Table 1"
    title = "Table 1: test accuracy of SGD, SAM and Eigen-SAM"
    in_the_paper = True
    models = ("resnet18", "resnet50", "wrn28-10")
    data = ("cifar10", "cifar100", "fashion-mnist", "svhn")
    contests: "tuple[Contest, ...]" = field(default_factory=_quick)

    def plot(self, result: Result) -> "Figure":
        """Accuracies over those of the first optimizer, by cell."""
        return draw_accuracies(result)

    def claims(self, result: Result) -> list[Claim]:
        """Whether each optimizer is better than the one before."""
        return accuracy_claims(result, "Table 1: higher in its cells (mean ± 95 %)")

    def caption(self, result: Result) -> str:
        """What is compared."""
        return (
            "Test accuracy after the last epoch minus SGD's of the same seed, in points; means with 95 % intervals "
            "over seeds. Every optimizer had the same training data and equally many settings to choose from."
        )

    def tables(self, result: Result) -> list[Table]:
        """The paper's table, and what was chosen."""
        return accuracy_tables(result)


def draw_accuracies(result: Result) -> "Figure":
    """A line for each cell: what each optimizer adds to the first one."""
    from ..sweep import paired_last

    cells = result["cells"]
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
    from ..sweep import paired_last
    from ..sweep_words import mean_text

    rows = []
    for cell in result["cells"]:
        for over, under in pairs(cell):
            found = paired_last(over, under, "test_accuracy", scale=100.0)
            rows.append(
                Claim(
                    f"{over['name']} is more accurate than {under['name']}: {where(cell)}",
                    paper,
                    f"{mean_text(found, signed=True)} points",
                    above(found, 0.0, "difference in points", 2),
                )
            )
    return rows


def accuracy_tables(result: Result) -> list[Table]:
    """Accuracies by network and data, and what was chosen."""
    from ..sweep import last
    from ..sweep_words import mean_text

    def words(cell: Any, name: str) -> str:
        return mean_text(last(optimizers(cell)[name], "test_accuracy", 100.0))

    header = ["network", "optimizer", *result["data"]]
    note = "Test accuracy after the last epoch, %, mean ± half width of the 95 % interval over seeds."
    return [Table(header, grid(result, words), right=range(2, len(header)), note=note), choices_table(result)]
