"""Ablations of SAM's SDE: what each term is for, and what a wrong one costs."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, REFERENCE, new_figure
from ..item import Claim, Item, Progress
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import slopes_agree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Ablations"]


@ITEMS.register("ablations", order=5)
@dataclass(frozen=True)
class Ablations(Item):
    """Slopes of SAM's SDE with terms left out or wrong."""

    label = "ablations"
    title = "Ablations of SAM's SDE"

    def measure(self, resources: Resources, progress: Progress) -> list[dict[str, Any]]:
        """Slope, order of theory and cost of each variant."""
        from ..measurements.ablations import measure_ablations

        return measure_ablations(progress)

    def plot(self, result: list[dict[str, Any]]) -> "Figure":
        """Measured slopes beside the orders of theory, and what each change costs in the constant."""
        groups = list(dict.fromkeys(r["group"] for r in result))
        figure = new_figure(len(groups), width=5.6, height=3.4)
        for axes, group in zip(figure.axes, groups, strict=True):
            ours = [r for r in result if r["group"] == group]
            height = range(len(ours))
            orders = [float(Fraction(r["order"])) for r in ours]
            axes.scatter(
                orders, height, marker="|", s=260, color=REFERENCE["color"], linewidths=3, label="theory", zorder=2
            )
            axes.scatter([r["slope"] for r in ours], height, color=LINES[0]["color"], s=26, label="measured", zorder=3)
            for y, r in zip(height, ours, strict=True):
                axes.annotate(f"× {r['cost']:.3g}" if r["cost"] < 1000 else f"× {r['cost']:.0f}", (2.2, y), va="center")
            axes.set_yticks(height, ["whole SDE" if r["change"] == "none" else r["change"] for r in ours], fontsize=9)
            axes.set_ylim(len(ours) - 0.5, -0.5)
            axes.set_xlim(0, 2.9)
            axes.set_xticks([0, 1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2], ["0", "1/3", "2/3", "1", "4/3", "5/3", "2"])
            axes.set_xlabel("slope of the weak error")
            axes.set_title(group + "; right: error, whole SDE = 1", fontsize=10)
        figure.axes[0].legend(loc="upper left", fontsize=8)
        return figure

    def claims(self, result: list[dict[str, Any]]) -> list[Claim]:
        """Whether all slopes are those of theory."""
        verdict = slopes_agree([(each["slope"], float(Fraction(each["order"])), each["verdict"]) for each in result])
        return [
            Claim(
                "Each term of SAM's SDE is needed where theory says so, and no wrong one goes unseen at order 2",
                f"theory: {len(result)} orders",
                "largest distance of a slope from its order "
                f"{max(abs(each['slope'] - float(Fraction(each['order']))) for each in result):.3f}",
                verdict,
            )
        ]

    def caption(self, result: list[dict[str, Any]]) -> str:
        """What the marks and the numbers on the right are."""
        return (
            "Slopes of the weak error on the tilted torus with terms left out or wrong; at the right, the error at the "
            "smallest step size in units of the whole SDE's. At order 1 the noise changes the constant only."
        )
