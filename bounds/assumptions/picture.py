"""The table as a picture: a matrix of verdicts, and the curves and intervals that some rest on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, new_figure
from .parameter_lipschitz import GRADIENT, HESSIAN
from .verdict import FAILS, HOLDS, STATEMENTS, UNDECIDED, CheckedAssumption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_assumptions"]

_MARKS: dict[str, dict[str, Any]] = {  # told apart by form as well as by colour, for grey print
    HOLDS: {"marker": "o", "color": LINES[2]["color"], "s": 60},
    FAILS: {"marker": "X", "color": LINES[1]["color"], "s": 70},
    UNDECIDED: {"marker": "D", "s": 42, "facecolors": "none", "edgecolors": "#444444"},
}


def draw_assumptions(subject: str, rows: Sequence[CheckedAssumption]) -> "Figure":
    """One mark for each assumption of each statement; beside it noise and growth, where they were measured."""
    noise = [row for row in rows if row.numbers.get("rise") is not None]
    rays = [
        row
        for row in rows
        if row.name in (GRADIENT, HESSIAN) and row.numbers.get("factors") and any(row.numbers["along_ray"])
    ]
    panels = [draw for draw, found in ((_draw_noise, noise), (_draw_rays, rays)) if found]
    columns = 2 if panels else 1
    figure = new_figure(columns, max(len(panels), 1), width=6.4, height=max(4.2, 0.28 * len(rows) / columns + 1.5))
    axes = figure.axes
    for each in axes[::columns][1:]:
        each.remove()
    matrix = axes[0]
    if len(panels) > 1:
        place = matrix.get_subplotspec()
        assert place is not None
        matrix.set_subplotspec(place.get_gridspec()[:, 0])
    _draw_matrix(matrix, subject, [row for row in rows if row.statements])
    figure.legend(*matrix.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=8)
    for axis, draw in zip(axes[1::columns] if columns > 1 else [], panels, strict=True):
        draw(axis, noise if draw is _draw_noise else rays)
    return figure


def _draw_matrix(axis: "Axes", subject: str, rows: Sequence[CheckedAssumption]) -> None:
    for verdict, style in _MARKS.items():
        places = [
            (STATEMENTS.index(statement), y)
            for y, row in enumerate(rows)
            for statement in row.statements
            if row.verdict == verdict
        ]
        axis.scatter([x for x, _ in places], [y for _, y in places], label=verdict, **style)
    axis.set_xticks(range(len(STATEMENTS)), [name.replace(" ", "\n", 1) for name in STATEMENTS])
    axis.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(-0.5, len(STATEMENTS) - 0.5)
    axis.set_title(subject.split(":")[0].split(", float")[0], fontsize=9)


def _draw_noise(axis: "Axes", rows: Any) -> None:
    """Relative to ``sigma^2``, in which a smooth loss rises: intervals of all sizes are seen at once."""
    sigmas = [row.numbers["sigma"] for row in rows]
    scaled = [[row.numbers[key] / row.numbers["sigma"] ** 2 for row in rows] for key in ("rise", "lower", "upper")]
    below = [value - low for value, low in zip(scaled[0], scaled[1], strict=True)]
    above = [high - value for value, high in zip(scaled[0], scaled[2], strict=True)]
    style = LINES[0] | {"linestyle": "none"}
    axis.errorbar(sigmas, scaled[0], yerr=[below, above], capsize=3, **style)
    axis.axhline(0.0, color="#444444", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_xlabel("standard deviation of the noise")
    axis.set_ylabel("E f(x+e) - f(x), over sigma squared")
    axis.set_title("held-out loss around x", fontsize=9)


def _draw_rays(axis: "Axes", rows: Any) -> None:
    for style, row in zip(LINES, rows, strict=False):
        axis.plot(
            row.numbers["factors"], row.numbers["along_ray"], label=row.name.split(" Lip")[0] + "'s change", **style
        )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xlabel("last layer multiplied by -t")
    axis.set_ylabel("norm of the derivative")
    axis.set_title("no constant serves all parameters where this grows", fontsize=9)
    axis.legend(fontsize=8)
