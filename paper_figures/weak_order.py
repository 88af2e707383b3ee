"""The weak order of the first-, second- and third-order SDE of SAM, measured on the tilted torus."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from matplotlib.figure import Figure

from ..sde import find_rule, verify_on_torus
from .presets import Preset
from .style import LINES, new_figure

__all__ = ["measure", "plot"]

_NAMES = ("first order (SGD SDE)", "second order (Compagnoni et al.)", "third order (the paper)")


def measure(preset: Preset, progress: Callable[[], None]) -> list[dict[str, Any]]:
    """One verification per exponent and drift order."""
    results = []
    for exponent in preset.rho_exponents:
        for drift_order in (1, 2, 3):
            found = verify_on_torus(find_rule("sam"), drift_order, Fraction(exponent), etas=preset.etas)
            results.append({"exponent": exponent, **found.to_dict()})
            progress()
    return results


def plot(results: list[dict[str, Any]]) -> Figure:
    """Weak error against step size, one panel per exponent, with the predicted slopes as thin guides."""
    exponents = list(dict.fromkeys(result["exponent"] for result in results))
    figure = new_figure(len(exponents))
    for axes, exponent in zip(figure.axes, exponents, strict=True):
        for result in (r for r in results if r["exponent"] == exponent):
            order = result["drift_order"]
            etas, errors = result["etas"], result["errors"]
            label = f"{_NAMES[order - 1]}: slope {result['slopes'][-1]:.2f}"
            axes.loglog(etas, errors, label=label, **LINES[order - 1])
            guide = [errors[-1] * (eta / etas[-1]) ** result["expected"] for eta in etas]
            axes.loglog(etas, guide, color="0.6", linewidth=0.7, zorder=0, label="predicted" if order == 3 else None)
        axes.set_xscale("log", base=2)
        axes.set_xlabel(r"step size $\eta$")
        axes.set_ylabel(r"weak error $|E\varphi(x_k)-E\varphi(X_{k\eta})|$ (max)")
        axes.set_title(rf"$\rho = 0.8\,\eta^{{{exponent}}}$")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * 12)  # room for the legend
        axes.legend(loc="upper left", fontsize=8, frameon=False)
    return figure
