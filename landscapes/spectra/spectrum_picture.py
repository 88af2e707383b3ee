"""A spectrum as a picture: density with its interval, the eigenvalues that were computed, the bound of the spectrum."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...ground.pictures import LINES, new_figure

__all__ = ["draw_spectrum"]


def draw_spectrum(result: dict[str, Any]) -> Figure:
    """One panel.

    Args:
        result: what ``eigensam spectrum --json`` writes: ``eigenvalues``, ``residuals``, ``operator``, ``dim``,
            optionally ``bound`` and ``density``.
    """
    figure = new_figure(1, width=6.4)
    (axes,) = figure.axes
    values, residuals = result["eigenvalues"], result["residuals"]
    density = result.get("density")
    if density is None:
        axes.errorbar(
            range(1, len(values) + 1), values, yerr=residuals, capsize=3, label="Ritz values, residuals", **LINES[0]
        )
        axes.set_xlabel("index $i$")
        axes.set_ylabel(r"eigenvalue $\lambda_i$")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        top = max(density["density"])
        floor = 0.05 / result["dim"]  # of the highest density: a twentieth of what a single eigenvalue shows
        share = f"{100 * density['confidence']:g} % interval"
        axes.plot(density["grid"], density["density"], color=LINES[0]["color"], label="estimated density")
        axes.fill_between(
            density["grid"],
            [max(low, floor * top / 10) for low in density["lower"]],
            density["upper"],
            color=LINES[0]["color"],
            alpha=0.25,
            linewidth=0,
            label=share,
        )
        axes.plot(
            values,
            [2 * floor * top] * len(values),
            linestyle="",
            marker="^",
            color=LINES[1]["color"],
            label="Ritz values",
        )
        axes.set_yscale("log")
        axes.set_ylim(floor * top, 3 * top)
        axes.set_xlabel(r"eigenvalue $\lambda$")
        axes.set_ylabel(r"density $\varphi(\lambda)$, smoothed by " + f"{density['width']:.2g}")
    bound = result.get("bound")
    if bound is not None:
        mark = axes.axhline if density is None else axes.axvline
        label = rf"upper bound of $\lambda_1$, fails with probability {bound['delta']:g}"
        mark(bound["upper"], color="0.4", linestyle=":", linewidth=1, label=label)
    axes.set_title(f"{result['operator']} of the training loss, $d = {result['dim']}$", fontsize=10)
    axes.legend(fontsize=8)
    return figure
