"""A spectrum as a picture: density with its interval, the eigenvalues that were computed, the bound of the spectrum."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
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
        floor = _draw_density(axes, density, smallest=0.05 / result["dim"])  # a twentieth of a single eigenvalue
        axes.plot(
            values, [2 * floor] * len(values), linestyle="", marker="^", color=LINES[1]["color"], label="Ritz values"
        )
    bound = result.get("bound")
    if bound is not None:
        mark = axes.axhline if density is None else axes.axvline
        label = rf"upper bound of $\lambda_1$, fails with probability {bound['delta']:g}"
        mark(bound["upper"], color="0.4", linestyle=":", linewidth=1, label=label)
    axes.set_title(f"{result['operator']} of the training loss, $d = {result['dim']}$", fontsize=10)
    axes.legend(fontsize=8)
    return figure


def draw_density(density: Mapping[str, Any]) -> Figure:
    """One panel: a density with its intervals.

    Args:
        density: what :meth:`Density.to_dict` gives.
    """
    figure = new_figure(1, width=6.4)
    (axes,) = figure.axes
    _draw_density(axes, density, smallest=1e-6)  # ours: far below what a probe can see
    axes.legend(fontsize=8)
    return figure


def _draw_density(axes: Axes, density: Mapping[str, Any], smallest: float) -> float:
    """Draw it down to ``smallest`` times its highest value, which is returned."""
    top: float = max(density["density"])
    axes.plot(density["grid"], density["density"], color=LINES[0]["color"], label="estimated density")
    axes.fill_between(
        density["grid"],
        [max(low, smallest * top / 10) for low in density["lower"]],
        density["upper"],
        color=LINES[0]["color"],
        alpha=0.25,
        linewidth=0,
        label=f"{100 * density['confidence']:g} % interval",
    )
    axes.set_yscale("log")
    axes.set_ylim(smallest * top, 3 * top)
    axes.set_xlabel(r"eigenvalue $\lambda$")
    axes.set_ylabel(r"density $\varphi(\lambda)$, smoothed by " + f"{density['width']:.2g}")
    return smallest * top
