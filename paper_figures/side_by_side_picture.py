"""Six panels of a network's observables along SAM and its SDEs, with their distances to SAM below."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ground.pictures import LINES, REFERENCE, new_figure, panels_are_stacked
from ..sde.simulation.comparison.bands import band
from ..sde.simulation.comparison.bands_picture import TITLES
from ..sde.simulation.comparison.weak_distance import weak_distance
from .case_numbers import EXACT, SECOND, THIRD, CaseNumbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_cases"]

_COLUMNS = 3
_STYLES: dict[str, Any] = {SECOND: LINES[1], THIRD: LINES[0], EXACT: LINES[2]}
_NAMES = {SECOND: "SDE, drift order 2", THIRD: "SDE, drift order 3", EXACT: "SDE, exact drift"}
_RULE: Any = {"color": REFERENCE["color"], "linewidth": 5.0, "alpha": 0.75, "solid_capstyle": "butt", "zorder": 1}


def draw_cases(cases: Sequence[CaseNumbers]) -> "Figure":
    """Curves of the first case, distances of all of them.

    Args:
        cases: of the same observables.
    """
    stated, panels = cases[0], list(cases[0].panels)
    rows = -(-len(panels) // _COLUMNS)
    stacked = panels_are_stacked()  # then each panel's distances come right below it
    columns, rows = (1, len(panels)) if stacked else (_COLUMNS, rows)
    figure = new_figure(columns, 2 * rows, width=4.2, height=2.35, height_ratios=[1.5, 1.0] * rows)
    for k, name in enumerate(panels):
        row, column = divmod(k, columns)
        curves, strip = (figure.axes[(2 * row + i) * columns + column] for i in range(2))
        _draw_curves(curves, stated, name)
        _draw_distances(strip, cases, name)
        if column == 0:
            strip.set_ylabel("distance to SAM")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 if stacked else 4, fontsize=9 if stacked else 10)
    lines = [
        f"{case.name}, ρ = {case.rho:.2f} {case.start}: {_criterion(case)}; third order closer on "
        f"{len(case.closer)} of {len(case.panels)} panels, at most half as far on {len(case.half)}, "
        f"farther on {len(case.farther)}"
        for case in cases
    ]
    if stacked:  # a line holds so many letters
        lines = [fill(line, 62) for line in lines]
    figure.suptitle("\n".join(lines), fontsize=9, x=0.01, ha="left", linespacing=1.5)
    return figure


def _criterion(case: CaseNumbers) -> str:
    holds = "criterion holds" if not case.unmet else "criterion fails"
    return (
        f"$t_3/t_2$ = {case.ratio:.2f} (at most {case.largest_ratio:.2f} on the way), $S$ = {case.signal:.2g}, "
        rf"$\eta n$ = {case.time:.3g}, {holds}"
    )


def _draw_curves(axes: "Axes", case: CaseNumbers, name: str) -> None:
    rule, others = case.comparison.rule, case.comparison.others
    found = band(rule.values[name])
    axes.plot(rule.times, found.mean, label="SAM", **_RULE)
    if found.mean_low is not None and found.mean_high is not None:
        axes.fill_between(rule.times, found.mean_low, found.mean_high, color="0.85", linewidth=0, zorder=0)
    every = max(len(rule.times) // 4, 1)
    for place, other in enumerate(others):
        style, found = _STYLES[other.name], band(other.values[name])
        marks: Any = {"markevery": (place * every // 3, every), "markersize": 4}
        axes.plot(other.times, found.mean, label=_NAMES[other.name], linewidth=1.5, **marks, **style)
        if found.mean_low is not None and found.mean_high is not None:
            axes.fill_between(
                other.times, found.mean_low, found.mean_high, color=style["color"], alpha=0.1, linewidth=0
            )
    axes.set_title(TITLES.get(name, name), fontsize=10)
    axes.set_xlabel(r"time $\eta k$", fontsize=9)
    axes.margins(x=0.02)


def _draw_distances(axes: "Axes", cases: Sequence[CaseNumbers], name: str) -> None:
    """Three marks with intervals in each case, on a logarithmic axis."""
    from matplotlib.ticker import NullFormatter

    ends: list[float] = []
    for place, case in enumerate(cases):
        times = case.comparison.rule.times
        for k, process in enumerate((SECOND, THIRD, EXACT)):
            found = weak_distance(case.comparison.differences(process, name), times)
            x, style = place + 0.22 * (k - 1), _STYLES[process]
            mark = {"color": style["color"], "marker": style["marker"], "markersize": 6, "linestyle": "none"}
            if found.low is None or found.high is None:
                axes.plot([x], [found.value], **mark)
                ends.append(found.value)
            elif found.resolved:
                axes.plot([x, x], [found.low, found.high], color=style["color"], linewidth=1.5)
                axes.plot([x], [found.value], **mark)
                ends += [found.low, found.value, found.high]
            else:
                axes.plot([x], [found.high], **{**mark, "markerfacecolor": "white"})
                axes.annotate(
                    "",
                    (x, found.high / 2),
                    (x, found.high),
                    arrowprops={"arrowstyle": "->", "color": style["color"], "shrinkA": 3, "shrinkB": 0},
                )
                ends += [found.high, found.high / 2]
        said = "at most half" if name in case.half else "closer" if name in case.closer else ""
        said = "farther" if name in case.farther else said
        axes.annotate(said, (place, 1.0), xycoords=("data", "axes fraction"), ha="center", va="top", fontsize=9)
    positive = [each for each in ends if each > 0]
    if positive:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(min(positive) / 1.5, max(positive) * 3)  # room for words
    axes.set_xlim(-0.5, len(cases) - 0.5)
    axes.set_xticks(range(len(cases)), [f"{case.name}\nρ = {case.rho:.2f}" for case in cases], fontsize=8.5)
    axes.grid(axis="x", visible=False)
    for edge in np.arange(len(cases) - 1) + 0.5:
        axes.axvline(edge, color="0.85", linewidth=0.8)
