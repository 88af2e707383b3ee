"""The eleven scripts of docs/recipes.md run as they stand, each in a folder of its own."""

import re
import warnings
from pathlib import Path

import pytest
import torch

import eigensam
from eigensam.optim import OPTIMIZERS
from eigensam.paper_figures import ITEMS

TEXT = (Path(eigensam.__file__).parent / "docs" / "recipes.md").read_text()
SCRIPTS = re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, tmp_path):
    """What a script registers is forgotten again."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    for registry in (OPTIMIZERS, ITEMS):
        list(registry)
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def test_eleven():
    assert len(SCRIPTS) == 11
    assert TEXT.count("```python") == 11


@pytest.mark.parametrize(("title", "script"), SCRIPTS, ids=[title for title, _ in SCRIPTS])
def test_script(title, script, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(script, title, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert printed.strip()
    assert "object at 0x" not in printed  # everything that is printed says what it is
    for picture in re.findall(r'savefig\("(.*?)"\)', script):
        assert Path(picture).stat().st_size > 1000
