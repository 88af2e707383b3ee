"""The code of a plug-in counts with the files that it lies in; ours does not, as it is hashed elsewhere."""

import importlib
import sys

import pytest

from eigensam.ground.foreign_code import foreign_code
from eigensam.landscapes import MODELS


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "plug_in_for_test.py").write_text("from helper_for_test import VALUE\ndef entry(): return VALUE\n")
    (tmp_path / "helper_for_test.py").write_text("VALUE = 1\n")
    (tmp_path / "unrelated_for_test.py").write_text("")
    (tmp_path / "package_for_test").mkdir()
    (tmp_path / "package_for_test" / "__init__.py").write_text("def entry(): return 1\n")
    (tmp_path / "package_for_test" / "deep.py").write_text("")
    yield tmp_path
    for name in [name for name in sys.modules if name.endswith("_for_test")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("module", "file", "counts"),
    [
        ("plug_in_for_test", "plug_in_for_test.py", True),
        ("plug_in_for_test", "helper_for_test.py", True),
        ("plug_in_for_test", "unrelated_for_test.py", False),
        ("package_for_test", "package_for_test/__init__.py", True),
        ("package_for_test", "package_for_test/deep.py", True),
    ],
)
def test_files(plug_in, module, file, counts):
    entry = importlib.import_module(module).entry
    before = foreign_code(entry)
    with (plug_in / file).open("a") as text:
        text.write("other = 2\n")
    assert (foreign_code(entry) != before) == counts


def test_ours_is_empty_and_a_prompt_counts_by_its_code():
    assert foreign_code(*MODELS.values()) == ""

    def at_a_prompt(number):
        made = {"__name__": "prompt"}
        exec(f"def entry(): return {number}", made)
        return made["entry"]

    assert foreign_code(at_a_prompt(1)) == foreign_code(at_a_prompt(1)) != foreign_code(at_a_prompt(2))


def test_neither_order_nor_number_counts(plug_in):
    one, other = (importlib.import_module(f"{name}_for_test").entry for name in ("plug_in", "package"))
    assert foreign_code(one, other) == foreign_code(other, one, other) != foreign_code(one)
