"""The scripts of docs/certificates.md run as they stand."""

import re

import pytest

from .house import ROOT

TEXT = (ROOT / "docs" / "certificates.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_script(script, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "docs/certificates.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip()
