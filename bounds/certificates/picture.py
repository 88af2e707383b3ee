"""Certificates beside the risks and the bound that they have to beat."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...ground.pictures import LINES, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .certificate import Certificate

__all__ = ["draw_certificates"]


def draw_certificates(found: "Sequence[Certificate]") -> "Figure":
    """Upper values and estimates against the share of examples that trained the prior.

    Args:
        found: at least one; several are sorted by that share.
    """

    def share(each: "Certificate") -> float:
        return each.examples["prior"] / sum(each.examples.values())

    ordered = sorted(found, key=share)
    x = [share(each) for each in ordered]
    figure = new_figure(1, width=5.6)
    (axes,) = figure.axes
    lines: dict[str, list[float | None]] = {
        "certificate of the randomised network": [each.certificate for each in ordered],
        "Clopper-Pearson, network at the prior": [each.clopper_pearson for each in ordered],
        "Gibbs risk, kept examples": [each.risk for each in ordered],
        "test error, network at the prior": [each.test_error for each in ordered],
    }
    for (label, values), style in zip(lines.items(), LINES, strict=True):
        y = [value for value in values if value is not None]  # of one loss all, or none
        if y:
            axes.plot(x, y, label=label, **style)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of the examples that trained the prior")
    axes.set_ylabel(f"risk ({ordered[0].loss} loss)")
    axes.set_title(rf"$\delta$ = {ordered[0].delta:g}")
    axes.legend(frameon=False, fontsize=8)
    return figure
