"""Table 1 of the paper: test accuracies of SGD, SAM and Eigen-SAM."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..accuracies import accuracy_claims, accuracy_tables, draw_accuracies
from ..contest_item import ContestItem
from ..item import Claim, Table
from ..registry import ITEMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..contest import Contest

__all__ = ["Table1"]

Result = dict[str, Any]


def _quick() -> "tuple[Contest, ...]":
    from ..contests import digits_contests

    return digits_contests()


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
