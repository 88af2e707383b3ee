"""Every curve is drawn with its numbers, told apart in grey."""

import pytest
import torch

from eigensam.ground import InputError
from eigensam.landscapes import CurvatureRecorder, Valley
from eigensam.landscapes.curvature.recorder_picture import draw_curvature


def _rows(**more):
    base = {"lambda_1": 5.0, "alignment": 0.3, "frozen_alignment": 0.9, "frozen_ratio": 0.8}
    return [{"step": 10 * i, **base, **more} for i in range(50)]


def test_curves_and_labels():
    figure = draw_curvature(_rows(lambda_2=3.0, lambda_min=-1.0))
    drawn = [[line for line in axes.lines if not line.get_label().startswith("_")] for axes in figure.axes]
    assert [[line.get_ydata()[0] for line in lines] for lines in drawn] == [[5, 3, -1], [0.3, 0.9, 0.8]]
    for lines in drawn:
        assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3
        assert all(list(line.get_xdata()) == list(range(0, 500, 10)) for line in lines)
        assert all("$" in line.get_label() for line in lines)
    figure.canvas.draw()  # labels are valid formulas


def test_what_was_not_measured_is_left_out():
    above, below = draw_curvature(_rows()).axes
    assert [len(axes.get_legend().get_texts()) for axes in (above, below)] == [1, 3]


def test_no_rows():
    with pytest.raises(InputError, match="no rows"):
        draw_curvature([])


def test_a_recorder_draws_its_rows():
    recorder = CurvatureRecorder(Valley(), every=10)
    with pytest.raises(InputError, match="no rows"):
        recorder.plot()
    for step in (0, 10):
        recorder.step(step, torch.tensor([1.0, 0.1], dtype=torch.float64))
    (line, *_), _ = (axes.lines for axes in recorder.plot().axes)
    assert list(line.get_xdata()) == [0, 10]
    assert list(line.get_ydata()) == [row["lambda_1"] for row in recorder.rows]
