"""SAM near a critical point of a minibatch: nothing of the order is left."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, new_figure
from ..item import Claim, Item, Progress
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CriticalPoint"]

_NEAR = 0.25
"""Ours: a local slope so far from the predicted one is another."""


@ITEMS.register("critical_point", order=6)
@dataclass(frozen=True)
class CriticalPoint(Item):
    """Local errors of SAM's order-2 SDE by distance from a critical point."""

    label = "critical point"
    title = "SAM near a critical point"

    def measure(self, resources: Resources, progress: Progress) -> list[dict[str, Any]]:
        """Errors, slopes and the assumption check by distance."""
        from ..measurements.critical_point import measure_critical_point

        return measure_critical_point(progress)

    def plot(self, result: list[dict[str, Any]]) -> "Figure":
        """Local error against step size by distance; hollow where the assumption check objects."""
        figure = new_figure(2)
        error_axes, slope_axes = figure.axes
        for index, each in enumerate(result):
            line = {**LINES[index % len(LINES)], "color": str(0.45 * index / len(result))}
            etas, errors, change = each["etas"], each["errors"], each["change"]
            error_axes.plot(etas, [e / eta**3 for e, eta in zip(errors, etas, strict=True)], **line | {"marker": ""})
            for eta, e, c in zip(etas, errors, change, strict=True):
                face = "white" if c > 1 else line["color"]
                error_axes.plot(eta, e / eta**3, marker=line["marker"], color=line["color"], markerfacecolor=face)
            middle = [(a * b) ** 0.5 for a, b in itertools.pairwise(etas)]
            slope_axes.plot(middle, each["slopes"], label=f"r = {each['distance']:g}", **line)
        slope_axes.axhline(result[0]["expected"], color="0.6", linewidth=0.8, zorder=0)
        for axes in figure.axes:
            axes.set_xscale("log", base=2)
            axes.set_xlabel(r"step size $\eta$")
        error_axes.set_yscale("log")
        error_axes.set_ylabel(r"local error $/\,\eta^3$")
        error_axes.set_title(r"hollow: $|g|$ more than doubles in one step", fontsize=10)
        slope_axes.set_ylabel("local slope (3: order 2)")
        slope_axes.set_title("SAM at distance r from a critical point", fontsize=10)
        slope_axes.legend(fontsize=8)
        return figure

    def claims(self, result: list[dict[str, Any]]) -> list[Claim]:
        """Whether the order is there far away, and gone near by."""
        far, near = result[0], result[-1]
        holds, lost = (abs(each["slopes"][-1] - each["expected"]) <= _NEAR for each in (far, near))
        return [
            Claim(
                "The order needs |g| bounded away from 0: near a critical point of a minibatch nothing of it is left",
                f"local slope {far['expected']:g} away from critical points, theory only",
                ", ".join(f"{each['slopes'][-1]:.2f} at distance {each['distance']:g}" for each in (far, near)),
                decide(
                    holds and not lost,
                    f"slope {far['slopes'][-1]:.2f} far away {'within' if holds else 'not within'} {_NEAR:g} (ours) of "
                    f"{far['expected']:g}; {near['slopes'][-1]:.2f} near by is {'within' if lost else 'not within'} it",
                ),
            )
        ]

    def caption(self, result: list[dict[str, Any]]) -> str:
        """What is measured, and what is hollow."""
        return (
            "Local error and its slope at distance r from a point where the gradient of one minibatch vanishes; hollow "
            "where the assumption check finds that |g| changes by more than itself in one step."
        )
