"""A verification as a picture: error against step size, intervals where there are, the expected slope as a guide."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_weak_order"]


def draw_weak_order(result: dict[str, Any]) -> "Figure":
    """One panel.

    Args:
        result: of :meth:`WeakOrder.to_dict`.
    """
    figure = new_figure(1)
    (axes,) = figure.axes
    etas, errors = result["etas"], result["errors"]
    if "half_widths" in result:
        share = f"{100 * result['confidence']:g} % interval"
        axes.errorbar(etas, errors, yerr=result["half_widths"], label=f"measured, {share}", capsize=3, **LINES[0])
    else:
        axes.plot(etas, errors, label="measured", **LINES[0])
    guide = [errors[-1] * (eta / etas[-1]) ** result["expected"] for eta in etas]
    axes.plot(etas, guide, color="0.6", linewidth=0.8, zorder=0, label=f"slope {_exact(result['expected'])}, expected")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    averaged = result.get("effective_rate", "1") != "1"
    rate = r"\varepsilon" if averaged else r"\eta"
    axes.set_xlabel(rf"effective rate ${rate}={result['effective_rate']}\,\eta$" if averaged else r"step size $\eta$")
    one_step = result["method"] == "one-step"
    axes.set_ylabel(
        r"local error $|E\varphi(x+\eta h)-e^{\eta L}\varphi(x)|$"
        if one_step
        else r"weak error $|E\varphi(x_k)-E\varphi(X_{k\eta})|$"
    )
    exponent = _exact(result["rho_exponent"])
    axes.set_title(
        f"{result['rule']}, {result['method']}: {result['verdict']}\n"
        rf"$\rho = {result['rho_scale']:g}\,{rate}^{{{exponent}}}$, slope {result['slope']:.3f}",
        fontsize=10,
    )
    axes.legend(fontsize=8)
    return figure


def _exact(value: float) -> str:
    """A float that stands for a fraction such as 2/3 as that fraction."""
    nearby = Fraction(value).limit_denominator(12)
    return str(nearby) if abs(nearby - Fraction(value)) < 1e-9 else f"{value:.3g}"
