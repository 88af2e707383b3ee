"""Every example in a public docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import eigensam

PACKAGES = (
    "landscapes",
    "landscapes.curvature",
    "landscapes.taylor",
    "sde",
    "sde.symbolic",
    "sde.weak_order",
    "optim",
    "bounds",
    "paper_figures",
)
MODULES = [
    f"eigensam.{package}.{module.name}"
    for package in PACKAGES
    for module in pkgutil.iter_modules([f"{eigensam.__path__[0]}/{package.replace('.', '/')}"])
    if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert results.failed == 0


def test_examples_exist():
    finder = doctest.DocTestFinder()
    count = sum(bool(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert count > 30
