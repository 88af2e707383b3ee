"""The README's examples run as they stand."""

import ast
import re
from pathlib import Path

import pytest

import eigensam

README = (Path(eigensam.__file__).parent / "README.md").read_text()
BLOCKS = re.findall(r"\*\*(\w+)\*\*: .*?\n\n```python\n(.*?)```", README, re.DOTALL)


def test_there_is_one_example_of_each_package():
    packages = ["eigensam", "landscapes", "sde", "simulation", "optim", "bounds", "paper_figures"]
    assert [name for name, _ in BLOCKS] == packages
    assert all(len(ast.parse(code).body) <= 5 for _, code in BLOCKS)


@pytest.mark.parametrize(("name", "code"), BLOCKS)
def test_example(name, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out or name in ("optim", "paper_figures")


def test_pictures_are_there():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (Path(eigensam.__file__).parent / picture).stat().st_size > 10_000
