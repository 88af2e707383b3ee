"""Every example in a public docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import eigensam

_OUTSIDE = {"benchmarks", "build", "setup", "tests"}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(eigensam.__path__, "eigensam.", onerror=lambda _: None)
    if not module.ispkg and module.name.split(".")[1] not in {*_OUTSIDE, "__main__"}
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert results.failed == 0


def test_examples_exist():
    finder = doctest.DocTestFinder()
    count = sum(bool(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert count > 30
