"""The scripts of docs/parallel-training.md run as they stand, by torchrun; both in one start, which takes longest."""

import re
from pathlib import Path

import pytest

import eigensam

from .workers import launch

TEXT = (Path(eigensam.__file__).parent / "docs" / "parallel-training.md").read_text()
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

ALL = """
import runpy
for number in range({}):
    runpy.run_path(f"{{number}}.py", run_name="__main__")
"""


def test_two():
    assert len(SCRIPTS) == TEXT.count("```python") == 2


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What they print."""
    directory = tmp_path_factory.mktemp("page")
    for number, script in enumerate(SCRIPTS):
        (directory / f"{number}.py").write_text(script)
    (directory / "all.py").write_text(ALL.format(len(SCRIPTS)))
    return launch("all.py", directory=directory)


@pytest.mark.parametrize("last", ["one eigenvector on all workers: True", r"\d+ parameters in the state"])
def test_script(said, last):
    (loss,) = re.findall(rf"^loss (\d\.\d\d), {last}$", said, re.MULTILINE) or pytest.fail(said[-4000:])
    assert float(loss) < 2.0  # ln 10 = 2.3 before
