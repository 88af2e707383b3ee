"""A training as a picture: loss, accuracy, learning rate and gradient norm, and the curvature if it was measured."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ...ground.pictures import LINES, new_figure
from ...ground.row_file import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_training"]

_PARTS = ("train", "validation", "test")


def draw_training(metrics: Sequence[dict[str, Any]], curvature: Sequence[Row] = ()) -> "Figure":
    """Four panels over epochs, and two over steps below them.

    Args:
        metrics: of a run: one row for each epoch; what they do not hold is left out.
        curvature: of a run: one row for each measurement.

    Raises:
        InputError: no epoch.

    Example:
        >>> row = {"lr": 0.1, "train_loss": 2.0, "gradient_norm": 1.0, "test_loss": 2.1, "test_accuracy": 0.3}
        >>> figure = draw_training([{"epoch": 1, **row}, {"epoch": 2, **row}])
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'accuracy', 'learning rate', 'gradient norm']
    """
    from matplotlib.ticker import PercentFormatter

    if not metrics:
        raise InputError("there are no epochs to draw; train at least one")
    figure = new_figure(2, 3 if curvature else 2, width=4.6, height=2.8)
    loss, accuracy, lr, norm = figure.axes[:4]
    for axes, what in ((loss, "loss"), (accuracy, "accuracy")):
        for part, style in zip(_PARTS, LINES, strict=True):
            _draw(axes, metrics, f"{part}_{what}", {**style, "label": part})
        axes.set_ylabel(what)
        axes.legend(fontsize=8)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes, name, label in ((lr, "lr", "learning rate"), (norm, "gradient_norm", "gradient norm")):
        _draw(axes, metrics, name, LINES[0])
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0.0)
    if curvature:
        from ...landscapes.curvature.recorder_picture import draw_curvature_panels

        above, below = figure.axes[4:]
        draw_curvature_panels(above, below, curvature)
    return figure


def _draw(axes: "Axes", metrics: Sequence[dict[str, Any]], name: str, style: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    rows = [row for row in metrics if name in row]
    if rows:
        every = max(1, len(rows) // 20)  # so that markers do not hide the line styles
        axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], **style, markevery=every)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epoch")
