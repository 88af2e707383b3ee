"""Figures survive grey print and come in three formats."""

import matplotlib.colors
import matplotlib.image

from eigensam.ground.pictures import LINES, new_figure, save_figure


def test_lines_differ_in_lightness_and_shape():
    grey = [
        sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), matplotlib.colors.to_rgb(line["color"]), strict=True))
        for line in LINES
    ]
    assert min(b - a for a, b in zip(sorted(grey), sorted(grey)[1:], strict=False)) > 0.1
    assert len({line["marker"] for line in LINES}) == len({line["linestyle"] for line in LINES}) == len(LINES)


def test_formats_and_reproducible_vectors(tmp_path):
    for name in ("a", "b"):
        figure = new_figure(2)
        figure.axes[0].plot([1, 2], [3, 4], **LINES[0])
        paths = save_figure(figure, tmp_path / "deep" / name)
    assert set(paths) == {"svg", "pdf", "png"}
    assert (tmp_path / "deep" / "a.svg").read_bytes() == (tmp_path / "deep" / "b.svg").read_bytes()
    assert matplotlib.image.imread(paths["png"]).shape[:2] == (576, 1472)
