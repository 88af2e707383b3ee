"""A row and a table: what may be said, and that every printed number is kept."""

import json
import re

import pytest

from eigensam.bounds import AssumptionTable, CheckedAssumption
from eigensam.bounds.assumptions.verdict import COROLLARY, FAILS, HOLDS, THEOREM_4_1, UNDECIDED


def row(verdict=FAILS, ground="sampled", name="a", **numbers):
    return CheckedAssumption(
        name, (THEOREM_4_1,), verdict, ground, "found {value}", {"value": 0.123456} | numbers, "us"
    )


def test_a_sample_never_confirms():
    assert row(HOLDS, "proof").verdict == HOLDS
    for verdict in (FAILS, UNDECIDED):
        assert row(verdict).verdict == verdict
    with pytest.raises(ValueError, match="a sample cannot say that it holds"):
        row(HOLDS)


def test_unknown_words():
    with pytest.raises(ValueError, match="unknown verdict or ground: maybe"):
        row("maybe")
    with pytest.raises(ValueError, match="unknown verdict or ground: fails, guess"):
        row(FAILS, "guess")
    with pytest.raises(ValueError, match="unknown statements \\['Theorem 9'\\]"):
        CheckedAssumption("a", ("Theorem 9",), FAILS, "proof", "")


def test_words():
    assert (HOLDS, FAILS, UNDECIDED) == ("holds", "fails", "cannot be decided here")
    assert row().text == "found 0.123"
    assert row(value=[1.0, None, "x"]).text == "found 1, none, x"
    with pytest.raises(KeyError):  # a number that is printed and not kept
        CheckedAssumption("a", (), FAILS, "proof", "found {missing}").text  # noqa: B018


def test_table():
    rows = [row(), row(HOLDS, "proof", "b"), CheckedAssumption("c", (COROLLARY,), UNDECIDED, "settings", "no")]
    table = AssumptionTable("it", rows, {"seed": 0})
    assert table.counts[THEOREM_4_1] == {HOLDS: 1, FAILS: 1, UNDECIDED: 0}
    assert table.counts[COROLLARY] == {HOLDS: 0, FAILS: 0, UNDECIDED: 1}
    assert "Theorem 4.1: 1 holds, 1 fails, 0 cannot be decided here" in repr(table)
    assert table.row("b") is rows[1]
    with pytest.raises(KeyError, match="no row 'd'; there are: a, b, c"):
        table.row("d")


def test_every_number_of_a_run_is_in_its_json(table):
    found = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert len(found["rows"]) == len({each["name"] for each in found["rows"]}) == len(table.rows)
    for each, original in zip(found["rows"], table.rows, strict=True):
        assert each["source"]
        assert set(re.findall(r"\{(\w+)\}", original.reason)) <= each["numbers"].keys()
        assert each["reason"] == original.text
        assert "{" not in each["reason"]
