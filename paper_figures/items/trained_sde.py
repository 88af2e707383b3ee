"""The SDE of what is actually trained: momentum, decay, schedule and epochs together, and what each term is for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.pictures import MANY_LINES, new_figure
from ..item import Claim, Item, Progress, Table
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import slopes_agree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TrainedSDE"]


@ITEMS.register("trained_sde", order=4)
@dataclass(frozen=True)
class TrainedSDE(Item):
    """Weak error of the SDE of a training with momentum 0.9, decay, a cosine schedule and reshuffled epochs."""

    label = "what is trained"
    title = "The SDE of what is actually trained"

    def measure(self, resources: Resources, progress: Progress) -> list[dict[str, Any]]:
        """Slope and errors of the whole SDE and of each wrong one."""
        from ..measurements.trained_sde import measure_trained_sde

        return measure_trained_sde(progress)

    def plot(self, result: list[dict[str, Any]]) -> "Figure":
        """Weak error against the effective rate, with the expected slopes as thin guides."""
        figure = new_figure(1, width=6.4, height=4.4)
        (axes,) = figure.axes
        for each, line in zip(result, MANY_LINES, strict=True):
            etas, errors = each["etas"], each["errors"]
            axes.loglog(etas, errors, label=f"{each['label']}: slope {each['slopes'][-1]:.2f}", **line)
        for each in (result[0], result[-1]):
            etas, errors = each["etas"], each["errors"]
            guide = [errors[-1] * (eta / etas[-1]) ** each["order"] for eta in etas]
            last = "expected" if each is result[-1] else None
            axes.loglog(etas, guide, color="0.6", linewidth=0.7, zorder=0, label=last)
        axes.set_xscale("log", base=2)
        axes.set_xlabel(r"effective rate $\varepsilon=\eta/(1-\beta)$")
        axes.set_ylabel("weak error of mean and second moments (max)")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.45)  # room for the legend
        axes.legend(loc="upper left", fontsize=8, frameon=False)
        return figure

    def claims(self, result: list[dict[str, Any]]) -> list[Claim]:
        """Whether all slopes are those of theory."""
        told = [("inconclusive" if each["verdict"] == "inconclusive" else "pass") for each in result]
        verdict = slopes_agree([(each["slope"], each["order"], said) for each, said in zip(result, told, strict=True)])
        return [
            Claim(
                "With momentum, decay, schedule and reshuffled epochs SAM's order-2 SDE has order 1 only; the SDE of "
                "that training has order 2, and needs each of their terms",
                "theory: 2, and 1 for each wrong one",
                f"slope {result[0]['slope']:.3f}, others {min(each['slope'] for each in result[1:]):.3f} to "
                f"{max(each['slope'] for each in result[1:]):.3f}",
                verdict,
            )
        ]

    def caption(self, result: list[dict[str, Any]]) -> str:
        """What is trained, and what is left out."""
        return (
            "Unnormalised SAM with momentum 0.9, weight decay 0.01, a cosine schedule and reshuffled epochs of three "
            "minibatches, on a quadratic in two dimensions, T = 1, without sampling. The whole SDE, and SDEs that lack "
            "what memory, epochs or the schedule add, or keep the noise that independent minibatches would have. "
            "Compared in the slow variable, at the ends of epochs."
        )

    def tables(self, result: list[dict[str, Any]]) -> list[Table]:
        """Expected orders and last slopes."""
        rows = [
            (
                each["label"].replace("$ds/dt$", "ds/dt"),
                f"{each['order']:g}",
                f"{each['slope']:.3f}",
                f"{each['errors'][-1]:.2g}",
            )
            for each in result
        ]
        return [Table(("SDE", "order", "last slope", "last error"), rows, right=(1, 2, 3))]
