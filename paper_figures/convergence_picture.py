"""The picture of the power method's convergence."""

from typing import TYPE_CHECKING, Any

from ..ground.pictures import MANY_LINES, REFERENCE, new_figure
from .convergence_words import ENOUGH, HESSIANS, curves_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_convergence"]


def draw_convergence(result: dict[str, Any]) -> "Figure":
    """Two panels for each Hessian of each network, at the last moment: alignment above, Rayleigh quotient below."""
    from matplotlib.ticker import MaxNLocator

    networks = result["networks"]
    figure = new_figure(2, 2 * len(networks), width=4.7, height=3.4)
    panels = iter(figure.axes)
    for network, runs in networks.items():
        last = runs[0][-1]["point"]
        for kind, axis in (("alignment", r"alignment $|\langle v_p, v_1\rangle|$"), ("ratio", r"$v_p'Hv_p/\lambda_1$")):
            for hessian, whose in HESSIANS.items():
                axes = next(panels)
                mine = [c for c in curves_of(runs) if c.point == last and c.hessian == hessian]
                for curve, line in zip(mine, MANY_LINES, strict=False):
                    counts = list(range(1, curve.products + 1))
                    means = [curve.mean(kind, p) for p in counts]
                    axes.plot(counts, [m.mean for m in means], label=curve.words, markevery=2, **line)
                    ends = [m.low for m in means], [m.high for m in means]
                    axes.fill_between(counts, *ends, color=line["color"], alpha=0.1, lw=0)  # NaN: no band
                axes.axhline(ENOUGH, color=REFERENCE["color"], ls=":", lw=1)
                axes.axvline(result["used"], color=REFERENCE["color"], ls=":", lw=1)
                axes.set_ylim(0, 1.05)
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                axes.set_xlabel(r"products $p$")
                axes.set_ylabel(axis)
                axes.set_title(f"{network}, {last}: {whose} Hessian")
                axes.legend(fontsize=8, frameon=False, loc="lower right")
    return figure
