"""Table 2 of the paper: fine-tuning a vision transformer by SGD, SAM and Eigen-SAM."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..accuracies import accuracy_claims, accuracy_tables, draw_accuracies
from ..contest_item import ContestItem
from ..item import Claim, Table
from ..registry import ITEMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..contest import Contest

__all__ = ["Table2"]

Result = dict[str, Any]


def _quick() -> "tuple[Contest, ...]":
    from ...optim.training.settings import TrainSettings
    from ..contests import contest

    small = TrainSettings(data="digits", model="vit-small", epochs=5, lr=0.05)
    return (contest(small, refresh_every=10),)


@ITEMS.register("table2", order=13)
@dataclass(frozen=True)
class Table2(ContestItem):
    """Accuracies of a vision transformer.

    Attributes:
        contests: cells that are run; by default a small transformer from a random start.
    """

    label = "Table 2"
    title = "Table 2: a vision transformer, fine-tuned by SGD, SAM and Eigen-SAM"
    in_the_paper = True
    models = ("vit-b-16",)
    data = ("cifar10", "cifar100")
    contests: "tuple[Contest, ...]" = field(default_factory=_quick)

    def plot(self, result: Result) -> "Figure":
        """Accuracies over those of the first optimizer, by cell."""
        return draw_accuracies(result)

    def claims(self, result: Result) -> list[Claim]:
        """Whether each optimizer is better than the one before."""
        return accuracy_claims(result, "Table 2: Eigen-SAM above SAM above SGD, ViT-B-16 from ImageNet weights")

    def caption(self, result: Result) -> str:
        """What is compared, and from which start."""
        starts = {cell["settings"].get("pretrained") or "a random start" for cell in result["cells"]}
        return (
            f"Test accuracy after the last epoch minus SGD's of the same seed, in points; start: "
            f"{', '.join(sorted(starts))}; means with 95 % intervals over seeds. Every optimizer had the same training "
            "data and equally many settings to choose from."
        )

    def tables(self, result: Result) -> list[Table]:
        """The paper's table, and what was chosen."""
        return accuracy_tables(result)
