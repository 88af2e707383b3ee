"""SGD, SAM and Eigen-SAM on training labels of which a share is wrong: a reviewer's wish."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...ground.pictures import new_figure
from ..item import Claim, Table
from ..registry import ITEMS
from ..sweep_item import SweepItem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...optim.method import Method
    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["LabelNoise", "label_noise_sweep"]

_PAIRS = (("SAM", "SGD"), ("Eigen-SAM", "SAM"))


def label_noise_sweep(
    settings: "TrainSettings",
    noises: Sequence[float] = (0.0, 0.2, 0.4),
    methods: "Sequence[Method] | None" = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> "Sweep":
    """Optimizers at several shares of wrong labels; runs of one share and seed have the same wrong labels.

    Args:
        settings: shared by all.
        noises: shares.
        methods: the optimizers; default :func:`three_optimizers`.
        seeds: of each.
    """
    from dataclasses import replace

    from ..sweep_grid import optimizers_at, three_optimizers

    variants = {f"{100 * noise:g} % wrong": replace(settings, label_noise=noise) for noise in noises}
    return optimizers_at(variants, methods or three_optimizers(), seeds)


def _quick() -> "Sweep":
    from ...optim.training.settings import TrainSettings

    return label_noise_sweep(TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=30))


@ITEMS.register("label_noise", order=23)
@dataclass(frozen=True)
class LabelNoise(SweepItem):
    """Accuracy, and how far the wrong labels are fitted, by their share.

    Attributes:
        sweep: made by :func:`label_noise_sweep`.
    """

    label = "label noise"
    title = "Wrong training labels: SGD, SAM and Eigen-SAM"
    sweep: "Sweep" = field(default_factory=_quick)

    def plot(self, result: "list[Group]") -> "Figure":
        """Accuracy on right labels, and the loss on the labels that were trained on."""
        from ..sweep import last
        from ..sweep_grid import by_optimizer, draw_by_value

        figure = new_figure(2)
        panels = (("test_accuracy", "test accuracy, %"), ("train_loss", "loss on the labels trained on"))
        for axes, (key, words) in zip(figure.axes, panels, strict=True):
            scale = 100.0 if key == "test_accuracy" else 1.0
            lines = {
                name: [(100 * noise, last(each, key, scale)) for noise, each in groups]
                for name, groups in by_optimizer(result, "label_noise").items()
            }
            draw_by_value(axes, lines)
            axes.set_xlabel("wrong training labels, %")
            axes.set_ylabel(words)
        figure.axes[0].legend(loc="lower left", frameon=False)
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """Whether the order of the three is the paper's at every share."""
        from ..sweep_claims import accuracy_claim
        from ..sweep_grid import by_optimizer

        found = {name: dict(groups) for name, groups in by_optimizer(result, "label_noise").items()}
        return [
            accuracy_claim(
                found[over][noise],
                found[under][noise],
                f"{over} is more accurate than {under} with {100 * noise:g} % wrong labels",
                "asked for by a reviewer, not in the paper; without wrong labels Table 1 says so",
            )
            for over, under in _PAIRS
            for noise in found.get(over, {})
            if noise in found.get(under, {})
        ]

    def caption(self, result: "list[Group]") -> str:
        """Which labels are wrong."""
        from ..sweep_words import seeds_of

        settings = result[0]["settings"]
        return (
            f"{settings['model']} on {settings['data']}, a share of whose training labels is replaced by another "
            f"class, drawn uniformly; test labels are right. After the last epoch, means over {seeds_of(result)}. "
            "A lower loss on the labels trained on says that more of the wrong ones are fitted."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """All groups."""
        from ..sweep_grid import last_epoch_table

        return [last_epoch_table(result)]
