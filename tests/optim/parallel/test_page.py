"""The scripts of docs/parallel-training.md run as they stand, by torchrun."""

import re
from pathlib import Path

import pytest

import eigensam

from .workers import launch

TEXT = (Path(eigensam.__file__).parent / "docs" / "parallel-training.md").read_text()
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_two():
    assert len(SCRIPTS) == TEXT.count("```python") == 2


@pytest.mark.parametrize(
    ("script", "last"),
    [(0, "one eigenvector on all workers: True"), (1, r"\d+ parameters in the state")],
)
def test_script(script, last, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPTS[script])
    said = launch("script.py", directory=tmp_path)
    (loss,) = re.findall(rf"^loss (\d\.\d\d), {last}$", said, re.MULTILINE) or pytest.fail(said[-4000:])
    assert float(loss) < 2.0  # ln 10 = 2.3 before
