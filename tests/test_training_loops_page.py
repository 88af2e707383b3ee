"""The scripts of docs/training-loops.md run as they stand; whether they are right is tested in tests/optim/loops."""

import re

import pytest
import torch

from .optim.loops.page import HEADINGS, TEXT, run, scripts

NUMBER = 18


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)


def test_all_are_found():
    assert len(scripts()) == TEXT.count("```python") == NUMBER


@pytest.mark.parametrize("title", scripts(), ids=str)
def test_script(title, capsys):
    run(title)
    printed = capsys.readouterr().out
    assert printed.strip()
    assert "object at 0x" not in printed


def test_links_lead_somewhere():
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADINGS}
    links = re.findall(r"\]\(#([\w-]+)\)", TEXT)
    assert len(links) > 5
    assert set(links) <= anchors
