"""Figures survive grey print and come in three formats."""

import matplotlib.colors
import matplotlib.image
import pytest

from eigensam.ground.pictures import LINES, MANY_LINES, REFERENCE, new_figure, save_figure

WEIGHTS = (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize(("lines", "gap"), [(LINES, 0.1), (MANY_LINES, 0.06)])
def test_lines_differ_in_lightness_and_shape(lines, gap):
    grey = [sum(w * c for w, c in zip(WEIGHTS, matplotlib.colors.to_rgb(line["color"]), strict=True)) for line in lines]
    assert min(b - a for a, b in zip(sorted(grey), sorted(grey)[1:], strict=False)) > gap
    assert len({line["marker"] for line in lines}) == len({line["linestyle"] for line in lines}) == len(lines)


def contrast_to_white(colour):
    """By WCAG 2: linear light."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
    return 1.05 / (sum(w * c for w, c in zip(WEIGHTS, linear, strict=True)) + 0.05)


def test_lines_stand_out_from_white():
    assert min(contrast_to_white(line["color"]) for line in (*MANY_LINES, REFERENCE)) >= 4.5
    assert contrast_to_white("#5fa044") < 4.5  # wrong on purpose: too light a green


def test_formats_and_reproducible_vectors(tmp_path):
    for name in ("a", "b"):
        figure = new_figure(2)
        figure.axes[0].plot([1, 2], [3, 4], **LINES[0])
        paths = save_figure(figure, tmp_path / "deep" / name)
    assert set(paths) == {"svg", "pdf", "png"}
    assert (tmp_path / "deep" / "a.svg").read_bytes() == (tmp_path / "deep" / "b.svg").read_bytes()
    assert matplotlib.image.imread(paths["png"]).shape[:2] == (576, 1472)
