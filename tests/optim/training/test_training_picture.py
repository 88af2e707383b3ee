"""Every curve of a training's picture has its numbers, and is told apart without colours."""

import pytest

from eigensam.ground import InputError
from eigensam.optim import draw_training


def _metrics(**more):
    base = {"lr": 0.1, "train_loss": 2.0, "gradient_norm": 1.5, "test_loss": 2.2, "test_accuracy": 0.3, "seconds": 1.0}
    return [{"epoch": epoch, **base, **more} for epoch in range(1, 51)]


def _lines(axes):
    return [line for line in axes.lines if not line.get_label().startswith("_")]


def test_curves():
    loss, accuracy, lr, norm = draw_training(_metrics(validation_loss=2.1, validation_accuracy=0.4)).axes
    assert [(line.get_label(), line.get_ydata()[0]) for line in _lines(loss)] == [
        ("train", 2.0), ("validation", 2.1), ("test", 2.2),
    ]  # fmt: skip
    assert [(line.get_label(), line.get_ydata()[0]) for line in _lines(accuracy)] == [
        ("validation", 0.4),
        ("test", 0.3),
    ]
    assert (lr.lines[0].get_ydata()[0], norm.lines[0].get_ydata()[0]) == (0.1, 1.5)
    assert len({(line.get_linestyle(), line.get_marker()) for line in _lines(loss)}) == 3
    assert all(list(line.get_xdata()) == list(range(1, 51)) for line in [*_lines(loss), lr.lines[0], norm.lines[0]])
    assert [axes.get_xlabel() for axes in (loss, accuracy, lr, norm)] == ["epoch"] * 4


def test_what_is_not_there_is_left_out():
    loss, accuracy, *_ = draw_training(_metrics()).axes
    assert [[line.get_label() for line in _lines(axes)] for axes in (loss, accuracy)] == [["train", "test"], ["test"]]


def test_curvature_has_panels_of_its_own():
    row = {"lambda_1": 5.0, "lambda_2": 3.0, "lambda_min": -1.0, "batch_sharpness": 7.0, "alignment": 0.3}
    figure = draw_training(_metrics(), [{"step": 0, **row}, {"step": 10, **row}])
    above, below = figure.axes[4:]
    assert [line.get_ydata()[0] for line in _lines(above)] == [5.0, 3.0, -1.0, 7.0]
    assert len({(line.get_linestyle(), line.get_marker()) for line in _lines(above)}) == 4
    assert [axes.get_xlabel() for axes in (above, below)] == ["step", "step"]
    figure.canvas.draw()  # labels are valid formulas


def test_nothing_to_draw():
    with pytest.raises(InputError, match="no epochs"):
        draw_training([])
