"""The script of docs/optimizers.md runs and shows what the page says; its table has every class and name."""

import re
from pathlib import Path

import eigensam.optim as optim
from eigensam.optim import OPTIMIZERS, SharpnessAwareOptimizer

TEXT = (Path(__file__).parents[1] / "docs" / "optimizers.md").read_text()


def test_the_table_has_every_class_and_name():
    rows = dict(re.findall(r"^\| `(\w+)`, `([\w-]+)` \|", TEXT, re.MULTILINE))
    classes = {
        name
        for name in dir(optim)
        if isinstance(getattr(optim, name), type)
        and issubclass(getattr(optim, name), SharpnessAwareOptimizer)
        and "Optimizer" not in name
    }
    assert rows.keys() == classes | {"normalization_groups"}  # with which SAM is SAM-ON
    assert set(rows.values()) == set(OPTIMIZERS) - {"sgd", "plain"}


def test_the_script_shows_what_the_page_says(capsys):
    (script,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(script, "docs/optimizers.md", "exec"), {})
    found = dict(line.split() for line in capsys.readouterr().out.splitlines())
    ends = {name: float(value) for name, value in found.items()}
    assert ends["SAM"] < 0.05
    assert ends["EigenSAM"] < 0.05
    assert ends["SAM"] < ends["RandomSAM"] < ends["EGR"] < 0.6
    assert ends["ReverseSAM"] > 1
