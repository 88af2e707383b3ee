"""The paper's table of top eigenvalues after training by SAM and Eigen-SAM."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, REFERENCE, new_figure
from ..contest_item import ContestItem, chosen, grid, measured, optimizers, pairs, radius, where
from ..item import Claim, Table
from ..registry import ITEMS
from ..seed_mean import has_interval
from ..verdict import NOT_RESOLVED, Verdict, below

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..contest import Contest

__all__ = ["PAPER", "EigenvalueTable"]

Result = dict[str, Any]

PAPER = {
    ("resnet18", "cifar10"): (5.0, 4.2),
    ("resnet18", "cifar100"): (5.7, 4.9),
    ("resnet50", "cifar10"): (4.2, 3.8),
    ("resnet50", "cifar100"): (4.3, 3.7),
    ("wrn28-10", "cifar10"): (1.2, 1.0),
    ("wrn28-10", "cifar100"): (1.7, 1.4),
}
"""The paper's top eigenvalues of SAM and of Eigen-SAM."""


def _quick() -> "tuple[Contest, ...]":
    from ..contests import digits_contests

    return digits_contests()


@ITEMS.register("eigenvalue_table", order=12)
@dataclass(frozen=True)
class EigenvalueTable(ContestItem):
    """Top eigenvalues of the training loss, of the runs of Table 1.

    Attributes:
        contests: those of Table 1, whose runs are shared.
    """

    label = "λ₁ table"
    title = "Top Hessian eigenvalues after training"
    in_the_paper = True
    models = ("resnet18", "resnet50", "wrn28-10")
    data = ("cifar10", "cifar100")
    contests: "tuple[Contest, ...]" = field(default_factory=_quick)

    def plot(self, result: Result) -> "Figure":
        """A line for each cell: ratios of one optimizer's eigenvalue to that of the one before, and the paper's."""
        from ..sweep import paired_last

        cells = measured(result)
        figure = new_figure(1, width=5.6, height=1.4 + 0.55 * len(cells))
        (axes,) = figure.axes
        for row, cell in enumerate(cells):
            for place, (over, under) in enumerate(pairs(cell)):
                found = paired_last(over, under, "lambda_1", ratio=True)
                width = found.half_width if has_interval(found) else 0.0
                label = f"{over['name']} over {under['name']}" if row == 0 else None
                style = {**LINES[place + 1], "linestyle": "none"}
                axes.errorbar([found.mean], [row + 0.24 * (place - 0.5)], xerr=[width], capsize=3, label=label, **style)
            if (cell["model"], cell["data"]) in PAPER:
                sam, eigen = PAPER[cell["model"], cell["data"]]
                style = {**REFERENCE, "linestyle": "none", "markerfacecolor": "white"}
                axes.plot([eigen / sam], [row + 0.3], label="paper: Eigen-SAM over SAM", **style)
        axes.axvline(1.0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(cells)), [where(cell).replace(", ", "\n") for cell in cells])
        axes.set_ylim(len(cells) - 0.5, -0.5)
        axes.set_xlabel(r"ratio of $\lambda_1$")
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2)
        return figure

    def claims(self, result: Result) -> list[Claim]:
        """Of each cell whether the eigenvalue is lower than that of the optimizer before."""
        from ..sweep import paired_last
        from ..sweep_words import mean_text

        rows = []
        for cell in result["cells"]:
            for over, under in pairs(cell):
                found = paired_last(over, under, "lambda_1", ratio=True)
                radii = {radius(over), radius(under)}
                verdict = below(found, 1.0, "ratio of λ₁")
                if len(radii) > 1 and None not in radii:  # a larger radius alone lowers the eigenvalue
                    words = f"{over['name']} chose ρ = {radius(over):g}, {under['name']} ρ = {radius(under):g}"
                    verdict = Verdict(NOT_RESOLVED, f"{words}: the optimizers differ in more than the method")
                paper = "lower"
                if (over["name"], under["name"]) == ("Eigen-SAM", "SAM"):
                    sam, eigen = PAPER.get((cell["model"], cell["data"]), (0.0, 0.0))
                    paper = (
                        f"{sam:g} → {eigen:g}, ratio {eigen / sam:.2f}"
                        if sam
                        else "ratios 0.82 to 0.90, other networks and data"
                    )
                rows.append(
                    Claim(
                        f"{over['name']} ends with a smaller top eigenvalue than {under['name']}: {where(cell)} "
                        f"({chosen(over)}; {chosen(under)})",
                        paper,
                        f"ratio {mean_text(found, 3)}",
                        verdict,
                    )
                )
        return rows

    def caption(self, result: Result) -> str:
        """What is measured."""
        return (
            "Top eigenvalue of the Hessian of the training loss after the last epoch (of at most 2,000 training "
            "examples, Lanczos to a residual of 3e-3), over that of the optimizer named after it, paired by seed; 95 % "
            "intervals over seeds."
        )

    def tables(self, result: Result) -> list[Table]:
        """Eigenvalues, with the paper's in brackets."""
        from ..sweep import last
        from ..sweep_words import mean_text

        def words(cell: Any, name: str) -> str:
            stated = dict(zip(("SAM", "Eigen-SAM"), PAPER.get((cell["model"], cell["data"]), ()), strict=False))
            paper = f" (paper {stated[name]:g})" if name in stated else ""
            return f"{mean_text(last(optimizers(cell)[name], 'lambda_1'), 3)}{paper}"

        header = ["network", "optimizer", *result["data"]]
        note = "Mean ± half width of the 95 % interval over seeds; networks and settings of Table 1."
        return [Table(header, grid(result, words), right=range(2, len(header)), note=note)]
