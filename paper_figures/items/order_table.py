"""The order table: for every rule, exponent and truncation, what the proof predicts and what is measured."""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...ground.pictures import new_figure, panels_are_stacked
from ..item import Claim, Item, Progress
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import slopes_agree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["OrderTable", "row_label"]


@ITEMS.register("order_table", order=4)
@dataclass(frozen=True)
class OrderTable(Item):
    """Predicted and measured weak orders of six rules."""

    label = "order table"
    title = "Weak orders, predicted and measured"

    def measure(self, resources: Resources, progress: Progress) -> list[dict[str, Any]]:
        """Every cell, about a second each."""
        from ..measurements.order_cells import measure_table

        return [entry.to_dict() for entry in measure_table(progress)]

    def plot(self, result: list[dict[str, Any]]) -> "Figure":
        """One panel per rule: the measured slope in each cell, shaded by the predicted order."""
        rules, exponents = (list(dict.fromkeys(e[name] for e in result)) for name in ("rule", "rho_exponent"))
        figure = new_figure(3, 2, width=4.2, height=2.9)
        for axes, rule in zip(figure.axes, rules, strict=True):
            ours = [e for e in result if e["rule"] == rule]
            rows = list(dict.fromkeys((e["weak_order"], e["drift_order"]) for e in ours))
            for e in ours:
                _cell(axes, rows.index((e["weak_order"], e["drift_order"])), exponents.index(e["rho_exponent"]), e)
            axes.set_xlim(-0.5, len(exponents) - 0.5)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_xticks(range(len(exponents)), [rf"$\beta={b}$" for b in exponents])
            axes.set_yticks(range(len(rows)), [row_label(*row) for row in rows], fontsize=8)
            axes.tick_params(length=0)
            axes.grid(False)
            axes.spines[:].set_visible(False)
            axes.set_title(rule)
        between = ",\n" if panels_are_stacked() else ", "
        said = "measured slope (predicted order) of the weak error"
        figure.suptitle(said + between + r"$\rho = 0.8\,\eta^\beta$", fontsize=11)
        return figure

    def claims(self, result: list[dict[str, Any]]) -> list[Claim]:
        """Whether all measured orders are the predicted ones."""
        verdict = slopes_agree(
            [(each["slope"], float(Fraction(each["predicted"])), each["verdict"]) for each in result]
        )
        return [
            Claim(
                "The weak order of every truncated SDE is the one that the symbolic proof finds",
                f"theory: {len(result)} orders",
                "largest distance of a slope from its order "
                f"{max(abs(each['slope'] - float(Fraction(each['predicted']))) for each in result):.3f}",
                verdict,
            )
        ]

    def caption(self, result: list[dict[str, Any]]) -> str:
        """What a cell holds."""
        return (
            "Last slope of the weak error on the two-dimensional tilted torus, in brackets the order that the symbolic "
            "proof finds for the SDE on the left; no sampling noise."
        )


def _cell(axes: "Axes", row: int, column: int, entry: dict[str, Any]) -> None:
    order = float(Fraction(entry["predicted"]))
    shade = 1 - 0.35 * order / 2
    axes.fill_between([column - 0.48, column + 0.48], row - 0.46, row + 0.46, color=str(shade), linewidth=0)
    passed = entry["verdict"] == "pass"
    text = f"{entry['slope']:.2f} ({entry['predicted']})" + ("" if passed else "\n" + entry["verdict"])
    axes.text(column, row, text, ha="center", va="center", fontsize=8, weight="normal" if passed else "bold")


def row_label(weak_order: int, drift_order: int) -> str:
    """Name a truncation."""
    return f"drift to ρ{'⁰¹²'[drift_order - 1]}" + (", with b₁" if weak_order == 2 else "")
