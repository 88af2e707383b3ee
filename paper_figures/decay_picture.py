"""The picture of a frozen eigenvector's decay."""

from typing import TYPE_CHECKING, Any

from ..ground.pictures import LINES, REFERENCE, new_figure
from .decay_words import ESTIMATES, looks_of, mean_at, parameters_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_decay"]


def draw_decay(result: dict[str, Any]) -> "Figure":
    """A column for each network: alignment above, Rayleigh quotient below."""
    networks = result["networks"]
    figure = new_figure(len(networks), 2, width=4.6, height=3.3)
    panels = iter(figure.axes)
    for kind, axis in (("alignment", r"alignment $|\langle v, v_1\rangle|$"), ("ratio", r"$v'Hv/\lambda_1$")):
        for network, runs in networks.items():
            axes, looks = next(panels), looks_of(runs)
            for (estimate, words), line in zip(ESTIMATES.items(), LINES, strict=False):
                means = [mean_at(runs, estimate, kind, place) for place in range(len(looks))]
                axes.plot(looks, [m.mean for m in means], label=words, **line)
                ends = [m.low for m in means], [m.high for m in means]
                axes.fill_between(looks, *ends, color=line["color"], alpha=0.15, lw=0)  # NaN: no band
            if kind == "alignment":
                level = 1 / parameters_of(runs) ** 0.5
                axes.axhline(level, color=REFERENCE["color"], ls=":", label="random vector")
            axes.set_ylim(-0.03, 1.35)  # the legend has the room above 1
            axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
            axes.set_xlabel("steps after freezing")
            axes.set_ylabel(axis)
            axes.set_title(f"{network}, {parameters_of(runs):,} parameters")
            axes.legend(fontsize=8, frameon=False, loc="upper center", ncols=2)
    return figure
