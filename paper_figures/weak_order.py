"""The weak order of SDEs of SAM, measured on the tilted torus: what each power of rho, correction and noise are for."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from ..ground.pictures import LINES, new_figure
from ..ground.workers import one_thread
from ..sde.derivation.derived_sde import SDE, derive, truncate
from ..sde.rules.rule import find_rule
from ..sde.weak_order.torus import verify_on_torus
from .presets import Preset

__all__ = ["ORDER_2", "SECOND", "THIRD", "curves", "measure", "plot"]

FIRST, SECOND, THIRD = "first order (SGD SDE)", "second order (Compagnoni et al.)", "third order (the paper)"
ORDER_2 = "order 2 (derived)"


def curves(exponent: str) -> dict[str, SDE]:
    """The SDEs of one panel: truncations where order 1 is the question, ablations where it is order 2."""
    sam = find_rule("sam")
    if exponent != "2/3":
        return {label: truncate(sam, exponent, order) for order, label in enumerate((FIRST, SECOND, THIRD), start=1)}
    full = derive(sam, 2, exponent)
    without = {
        "without the correction $b_1$": {"covariance_order": len(full.covariance), "correction_order": 0},
        "without noise": {"covariance_order": 0, "correction_order": len(full.correction)},
    }
    return {ORDER_2: full} | {
        label: truncate(sam, exponent, len(full.increments), **orders) for label, orders in without.items()
    }


def measure(preset: Preset, progress: Callable[[], None]) -> list[dict[str, Any]]:
    """One verification per exponent and SDE."""
    results = []
    for exponent in preset.rho_exponents:
        for label, sde in curves(exponent).items():
            with one_thread():
                found = verify_on_torus(sde, etas=preset.etas)
            results.append({"exponent": exponent, "label": label, **found.to_dict()})
            progress()
    return results


def plot(results: list[dict[str, Any]]) -> Figure:
    """Weak error against step size, one panel per exponent, with the predicted slopes as thin guides."""
    exponents = list(dict.fromkeys(result["exponent"] for result in results))
    figure = new_figure(len(exponents))
    for axes, exponent in zip(figure.axes, exponents, strict=True):
        ours = [result for result in results if result["exponent"] == exponent]
        for result, line in zip(ours, LINES, strict=True):
            etas, errors = result["etas"], result["errors"]
            axes.loglog(etas, errors, label=f"{result['label']}: slope {result['slopes'][-1]:.2f}", **line)
            guide = [errors[-1] * (eta / etas[-1]) ** result["expected"] for eta in etas]
            last = "predicted" if result is ours[-1] else None
            axes.loglog(etas, guide, color="0.6", linewidth=0.7, zorder=0, label=last)
        axes.set_xscale("log", base=2)
        axes.set_xlabel(r"step size $\eta$")
        axes.set_ylabel(r"weak error $|E\varphi(x_k)-E\varphi(X_{k\eta})|$ (max)")
        axes.set_title(rf"$\rho = 0.8\,\eta^{{{exponent}}}$")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.4)  # room for the legend
        axes.legend(loc="upper left", fontsize=8, frameon=False)
    return figure
