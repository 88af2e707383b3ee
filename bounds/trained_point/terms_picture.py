"""The picture of a bound at a trained point: its terms over sigma beside Monte Carlo, all forms, and along training."""

import re
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, MANY_LINES, REFERENCE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_terms"]

_TERMS = dict(zip(("curvature", "remainder", "complexity", "empirical loss"), MANY_LINES, strict=False))
_LARGEST = 1e4
_LONG = 10
_LEAST = 1e-8  # below which nothing is drawn: ours


def draw_terms(result: dict[str, Any]) -> "Figure":
    """Panels one below the other, so that a phone shows them.

    Args:
        result: what :meth:`MeasuredBound.to_dict` gives.
    """
    rows = 3 if result["along"] else 2
    figure = new_figure(1, rows, width=6.4, height=3.7)
    _over_sigma(figure.axes[0], result)
    _forms(figure.axes[1], result)
    if rows == 3:
        _along(figure.axes[2], result)
    return figure


def _mathematical(form: str) -> str:
    """With the constant's number as a subscript."""
    return re.sub(r"([A-Z])_(\d)", r"$\1_\2$", form)


def _over_sigma(axes: "Axes", result: dict[str, Any]) -> None:
    rows, around = result["over_sigma"], result["measured"]["loss_around"]
    sigmas = [row["sigma"] for row in rows]
    for name in ("curvature", "remainder", "complexity"):
        axes.plot(sigmas, [row[name] for row in rows], label=name, **{**_TERMS[name], "marker": ""})
    axes.plot(sigmas, [row["sum"] for row in rows], label="sum", color="black", linewidth=2)
    risen = [(s, y) for s, y in zip(around["sigmas"], around["increase"], strict=True) if y > _LEAST]
    if risen:
        style = {**REFERENCE, "color": MANY_LINES[4]["color"], "linestyle": "none", "markersize": 6}
        axes.plot(*zip(*risen, strict=True), label=r"measured $f_S(Q) - f_S(x)$", **style)
    axes.axhline(1.0, color="black", linestyle=":", linewidth=1)
    uniform = result["measured"]["uniform_loss"]
    axes.axhline(uniform, color=REFERENCE["color"], linestyle=":", linewidth=1)
    for height, text, color in ((1.0, "vacuous above", "black"), (uniform, "loss without data", "#666666")):
        axes.annotate(text, (0.01, height), xycoords=("axes fraction", "data"), va="bottom", fontsize=7, color=color)
    axes.axvline(result["details"]["sigma"], color=REFERENCE["color"], linewidth=0.8)
    axes.set(xscale="log", yscale="log", ylim=(_LEAST, 10 * max(10.0, min(1e16, result["bound"]))))
    axes.set_xlabel(r"$\sigma$ of the posterior (grey line: the bound's)")
    axes.set_ylabel("term (loss lies in [0, 1])")
    axes.set_title(f"Theorem 4.1 ({_mathematical(result['form'])}) and what is measured")
    axes.legend(fontsize=7, ncols=2, loc="lower right")


def _forms(axes: "Axes", result: dict[str, Any]) -> None:
    """A row for each form: its sum, and the same before Pinsker's inequality."""
    refuted = {row["form"] for row in result["measured"]["refuted"]}
    forms = [*result["forms"], *result["others"], *result["for_the_point"]][::-1]
    for y, each in enumerate(forms):
        certain = each["kind"] == "certificate"
        color = LINES[0]["color"] if certain else LINES[1]["color"]
        inside = color if certain else "white"
        axes.scatter(
            [min(each["bound"], _LARGEST)], [y], marker="o", s=34, zorder=3, facecolors=inside, edgecolors=color
        )
        if each["form"] in refuted:
            axes.scatter([min(each["bound"], _LARGEST)], [y], marker="x", s=60, color="black", zorder=4)
        axes.scatter([each["bound_kl"]], [y], marker="|", s=70, color=color, zorder=3)
    axes.axvline(1.0, color="black", linestyle=":", linewidth=1)
    axes.axvline(result["measured"]["uniform_loss"], color=REFERENCE["color"], linestyle=":", linewidth=1)
    if any(each["bound"] > _LARGEST for each in forms):
        axes.text(_LARGEST, len(forms) - 0.4, "or more", ha="right", fontsize=7)
    values = [min(value, _LARGEST) for each in forms for value in (each["bound"], each["bound_kl"])]
    if max(values) > _LONG * min(values):  # a shorter logarithmic axis has labels that overlap
        axes.set_xscale("log")
    axes.set_yticks(range(len(forms)), [_mathematical(each["form"]) for each in forms], fontsize=7)
    axes.set_xlabel(
        "bound: circle sum, bar by kl inverse; filled certificate, open estimate\n"
        "(crossed: refuted by what is measured; dotted: 1, loss without data)"
    )
    which = "at the given" if result["measured"]["sigma_given"] else "at its best"
    axes.set_title(f"every form {which} $\\sigma$, $\\delta$ = {result['delta']:g}")
    axes.grid(visible=False, axis="y")


def _along(axes: "Axes", result: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator  # here: who draws nothing does not load it

    rows = result["along"]
    epochs = [row["epoch"] for row in rows]
    for name, style in _TERMS.items():
        axes.plot(epochs, [max(row[name], _LEAST) for row in rows], label=name, **style)
    axes.plot(epochs, [row["sum"] for row in rows], label="sum", color="black", linewidth=2)
    axes.axhline(1.0, color="black", linestyle=":", linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("term (loss lies in [0, 1])")
    axes.set_title(r"along the training, each at its best $\sigma$")
    axes.legend(fontsize=7, ncols=2)
