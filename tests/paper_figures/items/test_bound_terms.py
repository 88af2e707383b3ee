"""The points are the terms."""

from eigensam.paper_figures.items.bound_terms import BoundTerms


def test_plot():
    terms = [{"name": n, "value": v, "kind": "estimate"} for n, v in (("a", 0.1), ("b", 2.0), ("c", 0.5), ("d", 9.0))]
    bound = {"terms": terms, "bound": 11.6, "delta": 0.05}
    figure = BoundTerms().plot(dict.fromkeys(("sgd", "sam", "eigen-sam"), bound))
    (axes,) = figure.axes
    points = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    for name in ("SGD", "SAM", "Eigen-SAM"):
        assert points[name] == [0.1, 2.0, 0.5, 9.0, 11.6]
    assert next(tick.get_text() for tick in axes.get_xticklabels()) == "a\n(estimate)"


def test_an_edited_bound_decides_otherwise():
    found = {"sgd": {"bound": 11.6}, "sam": {"bound": 3.0}}
    (claim,) = BoundTerms().claims(found)
    assert (claim.verdict.word, claim.measured) == ("reproduced", "vacuous for 2 of 2 networks")
    found["sam"]["bound"] = 0.9
    (claim,) = BoundTerms().claims(found)
    assert (claim.verdict.word, claim.measured) == ("not reproduced", "vacuous for 1 of 2 networks")
    assert "smallest 0.9" in claim.verdict.decided_by
    assert BoundTerms().with_seeds(2).trainings.seeds == (0, 1)
