"""Rows of a curvature recorder as a picture: eigenvalues above, alignment and the frozen eigenvector's decay below."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...ground.errors import InputError
from ...ground.pictures import MANY_LINES, new_figure
from ...ground.row_file import Row

__all__ = ["draw_curvature", "draw_curvature_panels"]

_ABOVE = {
    "lambda_1": r"$\lambda_1$",
    "lambda_2": r"$\lambda_2$",
    "lambda_min": r"$\lambda_{\min}$",
    "batch_sharpness": "batch sharpness",
}
_BELOW = {
    "alignment": r"$|\langle u, v_1\rangle| / \|u\|$",
    "frozen_alignment": r"$|\langle v_f, v_1\rangle|$",
    "frozen_ratio": r"$v_f^\top H v_f / \lambda_1$",
}


def draw_curvature(rows: Sequence[Row]) -> Figure:
    """Two panels over steps.

    Args:
        rows: of :class:`CurvatureRecorder`, or read back from its file; what they do not hold is left out.

    Raises:
        InputError: no rows.

    Example:
        >>> row = {"lambda_1": 3.0, "alignment": 0.5, "frozen_alignment": 1.0, "frozen_ratio": 1.0}
        >>> figure = draw_curvature([{"step": 0, **row}, {"step": 10, **row}])
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['step', 'step']
    """
    if not rows:
        raise InputError("there are no rows to draw; record at least one step")
    figure = new_figure(1, 2, width=6.4, height=3.0)
    above, below = figure.axes
    draw_curvature_panels(above, below, rows)
    return figure


def draw_curvature_panels(above: Axes, below: Axes, rows: Sequence[Row]) -> None:
    """The same two panels within a figure of more.

    Args:
        above: for eigenvalues.
        below: for alignment and decay.
        rows: at least one.
    """
    _draw(above, rows, _ABOVE)
    above.set_ylabel("curvature")
    _draw(below, rows, _BELOW)
    below.set_ylabel("alignment and decay")


def _draw(axes: Axes, rows: Sequence[Row], labels: dict[str, str]) -> None:
    steps = [row["step"] for row in rows]
    marks: dict[str, Any] = {"markevery": max(1, len(rows) // 20)}  # so that markers do not hide the line styles
    for (key, label), style in zip(labels.items(), MANY_LINES, strict=False):
        if key in rows[0]:
            axes.plot(steps, [row[key] for row in rows], label=label, **style, **marks)
    axes.axhline(0.0, color="0.4", linewidth=0.8, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("step")
    axes.legend(fontsize=8)
