"""Results print what they say, become JSON, and draw their terms."""

import json

from eigensam.bounds import Curvature, eigenvalue_bound

RESULT = eigenvalue_bound(
    0.05, Curvature(top_eigenvalue=0.1, fourth_derivative=0.1), dim=20, squared_distance=1.0, examples=60_000
)


def test_repr_names_every_term_and_the_verdict():
    text = repr(RESULT)
    for term in RESULT.terms:
        assert f"{term.value:.4g} ({term.name}, {term.kind})" in text
        assert repr(term) == f"Term({term.name!r}, {term.value:.4g}, {term.kind})"
    assert text.startswith(f"Bound({RESULT.bound:.4g} = ")
    assert text.endswith("estimate, not vacuous, delta 0.05)")


def test_dictionaries_are_json():
    found = json.loads(json.dumps(RESULT.to_dict()))
    assert found["terms"] == [term.to_dict() for term in RESULT.terms]
    assert found["bound"] == RESULT.bound


def test_plot_shows_every_term_and_the_sum():
    (axes,) = RESULT.plot().axes
    assert list(axes.lines[0].get_ydata()) == [*(term.value for term in RESULT.terms), RESULT.bound]
    assert list(axes.lines[1].get_ydata()) == [1.0, 1.0]
    assert axes.get_xticklabels()[-1].get_text() == "sum\n(estimate)"
    assert axes.get_yscale() == "log"
