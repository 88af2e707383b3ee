"""Equal where values are equal, in every process; different where anything is."""

import dataclasses
import functools
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import nn

import eigensam
from eigensam.ground import fingerprint

LIMIT = 1.0


def clamped(limit):
    return lambda x: x.clamp(max=limit)


def by_a_global(x):
    return x.clamp(max=LIMIT)


def indirectly(x):
    return by_a_global(x)


class Clamp:
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, x):
        return x.clamp(max=self.limit)

    def method(self, x):
        return self(x)


@dataclasses.dataclass
class Limits:
    low: float
    high: torch.Tensor


def linear(value):
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, value)
    nn.init.zeros_(model.bias)
    return model


VALUES = [
    None, True, 1, 1.0, 1j, 0.0, -0.0, math.inf, math.nan, "1", b"1", Fraction(1, 3), Fraction(2, 3),
    torch.ones(2), torch.ones(2, 1), torch.ones(2).double(), torch.tensor(1.0), torch.ones(2, dtype=torch.bfloat16),
    torch.ones(2, dtype=torch.bool), torch.float32, torch.float64, torch.device("cpu"),
    np.ones(2), np.ones(2, np.float32), np.float64(1),
    np.array([1, "a"], dtype=object), np.array([2, "a"], dtype=object),
    [1, 2], [2, 1], (1, 2), {1, 2}, {1: 2}, {2: 1}, [[1], 2], [],
    clamped(1.0), clamped(0.3), by_a_global, indirectly, Clamp(1.0), Clamp(0.3), Clamp(1.0).method, Clamp(0.3).method,
    functools.partial(torch.clamp, max=1.0), functools.partial(torch.clamp, max=0.3), torch.sin, torch.cos, len, Clamp,
    lambda x: x.sin(), lambda x: x.cos(), lambda x, y=1: x, lambda x, y=2: x, lambda x, *, y=2: x,
    Limits(0.0, torch.ones(1)), Limits(0.0, torch.zeros(1)), linear(1.0), linear(2.0), linear(1.0).eval(), nn.Tanh(),
]  # fmt: skip


def test_different_values_differ():
    found = [fingerprint(value) for value in VALUES]
    assert len(set(found)) == len(found)
    assert fingerprint(1, 2) != fingerprint((1, 2)) != fingerprint(1, (2,))


def test_equal_values_agree():
    for make in (
        lambda: {"a": torch.ones(2), "b": [1.5, math.nan]},
        lambda: clamped(0.3),
        lambda: Clamp(0.3).method,
        lambda: Limits(1.0, torch.ones(3)),
        lambda: linear(0.5),
    ):
        assert fingerprint(make()) == fingerprint(make())
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint(torch.arange(6.0).view(2, 3).T.contiguous()) == fingerprint(torch.arange(6.0).view(2, 3).T)
    loop = [1]
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)


def test_a_global_counts_through_other_functions(monkeypatch):
    before = fingerprint(indirectly)
    monkeypatch.setitem(globals(), "LIMIT", 0.3)
    assert fingerprint(indirectly) != before


def test_lines_and_names_of_files_do_not_count():
    texts = ("def f(x):\n    return x + 1\n", "\n\n# more\ndef f(x):\n\n    return x + 1  # one\n")
    found = []
    for index, text in enumerate(texts):
        space = {"__name__": "home"}
        exec(compile(text, f"{index}.py", "exec"), space)
        found.append(fingerprint(space["f"]))
    assert found[0] == found[1]


def test_the_same_in_every_process():
    """Sets, dictionaries and names of constants have another order there."""
    text = (
        "from eigensam.ground import fingerprint as f; import torch\n"
        "def g(x): return x if x in {'a', 'b', 'c'} else torch.sin(x)\n"
        "print(f({'a', 'b', 'c'}, {'x': 1, 'y': torch.ones(2)}, g, frozenset('abc')))"
    )
    place = {**os.environ, "PYTHONPATH": str(Path(eigensam.__file__).parent.parent)}
    processes = [
        subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, env={**place, "PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in processes)
    assert first == second != b""
