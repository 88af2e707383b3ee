"""The script of docs/bounds.md runs as it stands; its tables name every form."""

import re

from eigensam.bounds.eigenvalue.form import CURVATURES
from eigensam.bounds.eigenvalue.remainders import REMAINDERS

from .house import ROOT

TEXT = (ROOT / "docs" / "bounds.md").read_text(encoding="utf-8")


def test_script(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (script,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(script, "docs/bounds.md", "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "Monte Carlo" in printed
    assert (tmp_path / "bound.png").stat().st_size > 10_000


def test_every_form_is_named():
    for name in (*CURVATURES, *REMAINDERS):
        assert f"| `{name}`" in TEXT
