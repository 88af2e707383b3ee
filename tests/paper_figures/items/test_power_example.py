"""The worked example: its words and its picture follow from the stored numbers alone."""

import copy

import pytest

from eigensam.ground.pictures import stacked_panels
from eigensam.ground.records import through_json
from eigensam.paper_figures.items.power_example import PowerExample, _fraction, _rate

ITEM = PowerExample(steps=6)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return through_json(ITEM.run(tmp_path_factory.mktemp("example")))


def test_verdicts(result):
    found = [(claim.verdict.word, claim.paper.rsplit(" ", 1)[-1]) for claim in ITEM.claims(result)]
    assert [word for word, _ in found] == [
        "reproduced", "reproduced", "reproduced", "not reproduced", "reproduced", "reproduced"
    ]  # fmt: skip
    assert [end for _, end in found[::2]] == ["1/3", "1/2", "1/4"]


def test_an_edited_number_shows(result):
    """Wrong on purpose: errors that shrink more slowly, and an eigenvalue that is not found."""
    edited = copy.deepcopy(result)
    case = edited["cases"][0]
    for p, step in enumerate(case["steps"]):
        step["error"] = 0.5**p
    case["steps"][-1]["rayleigh"] = 1.5
    rate, value = ITEM.claims(edited)[:2]
    assert rate.verdict.word == value.verdict.word == "not reproduced"
    assert "ratio 0.500000" in rate.measured
    assert "v'Av = 1.5000" in value.measured
    assert "approached 3 with ratio 1/2" in ITEM.caption(edited)
    assert ITEM.tables(edited)[0].rows[1][-2:] == ["0.500000", "0.5000"]


def test_a_student_can_follow(result):
    """Each v is the product of the row above by its length."""
    for case, table in zip(result["cases"], ITEM.tables(result), strict=True):
        assert len(table.rows) == 7
        for before, after in zip(case["steps"], case["steps"][1:], strict=False):
            assert after["v"] == pytest.approx([x / before["norm"] for x in before["product"]], rel=1e-12)
    assert ITEM.tables(result)[0].rows[0][:3] == ["0", "(1.0000, 0.0000)", "(2.0000, 1.0000)"]
    assert "A = [2 1; 1 2]" in ITEM.tables(result)[0].note
    assert "a shift of 6" in ITEM.tables(result)[2].note


def test_picture(result):
    figure = ITEM.plot(result)
    assert len(figure.axes) == 4
    markers = [line for line in figure.axes[3].lines if line.get_linestyle() == "None"]
    assert [float(line.get_ydata()[2]) for line in markers] == pytest.approx([1 / 9, 1 / 4, 1 / 16])
    with stacked_panels():
        assert figure.get_figheight() < ITEM.plot(result).get_figheight()


def test_small_words():
    assert [_fraction(x) for x in (1 / 3, 2.0, 0.123)] == ["1/3", "2", "0.123"]
    assert _rate([1.0, 0.0]) == 0.0
    assert not ITEM.in_the_paper
    assert ITEM.with_seeds(3) is ITEM
    assert all(ITEM.notes({}))
