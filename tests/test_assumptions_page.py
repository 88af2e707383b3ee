"""The script of docs/assumptions.md runs as it stands, and its table of examples is what is proved."""

import re

import pytest

from eigensam.bounds import EXAMPLES
from eigensam.bounds.assumptions.check_example import certified_constants

from .house import ROOT

TEXT = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_script(script, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "docs/assumptions.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "bounded parameter domain -> fails" in printed
    assert printed.rstrip().endswith("{'holds'}")


@pytest.mark.parametrize("name", [name for name, each in EXAMPLES.items() if not each.fails])
def test_constants_of_the_examples(name):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", TEXT, re.MULTILINE)
    numbers = [cell.strip() for cell in row.split("|")[4:8]]
    found = certified_constants(EXAMPLES[name])
    values = (found.gradient_floor, found.hessian, found.third, found.gap)
    for said, value in zip(numbers, values, strict=True):
        assert said == "one parameter" or float(said) == pytest.approx(value, abs=6e-3 if value < 1 else 6e-2)
