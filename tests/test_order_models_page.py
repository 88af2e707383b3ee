"""The tables of docs/order-models.md are those of its record, and its script runs as it stands."""

import json
import re

import pytest

from eigensam.bounds import order_models

from .house import ROOT

TEXT = (ROOT / "docs" / "order-models.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def found():
    record = json.loads((ROOT / "docs" / "order_models.json").read_text(encoding="utf-8"))
    return order_models(record["records"], record["settings"])


def number_and_interval(each):
    return f"{each['tau']:.2f} [{each['lower']:.2f}, {each['upper']:.2f}]"


def test_table_of_measures(found):
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", TEXT, re.M)
    }
    rankings = {(each.name, each.target): each.to_dict() for each in found.rankings}
    assert len(rows) == 10
    for name, cells in rows.items():
        truth = []
        for target in ("gap", "held_out_error"):
            each = rankings[name, target]
            truth += [number_and_interval(each), f"{each['control']}: {each['partial']:.2f}", each["verdict"]]
        assert list(cells) == truth


def test_table_of_the_top_eigenvalue(found):
    rows = [row for row in found.within if row["target"] == "gap"]
    for row in rows:
        assert f"| {row['axis']} {row['value']:g} | {row['models']} | {number_and_interval(row)} |" in TEXT


def test_script(monkeypatch, capsys):
    monkeypatch.chdir(ROOT / "docs")
    (script,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(script, "docs/order-models.md", "exec"), {"__name__": "__main__"})
    assert "54 models of 18 configurations" in capsys.readouterr().out
