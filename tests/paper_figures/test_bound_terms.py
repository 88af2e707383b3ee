"""The bars are the terms."""

from eigensam.paper_figures import bound_terms


def test_plot():
    terms = [{"name": n, "value": v, "kind": "estimate"} for n, v in (("a", 0.1), ("b", 2.0), ("c", 0.5), ("d", 9.0))]
    figure = bound_terms.plot({name: {"terms": terms} for name in ("sgd", "sam", "eigen-sam")})
    (axes,) = figure.axes
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [0.1] * 3 + [2.0] * 3 + [0.5] * 3 + [9.0] * 3
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["SGD", "SAM", "Eigen-SAM"]
