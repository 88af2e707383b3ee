"""What is not used is not loaded: modules are counted, not seconds."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "scipy.stats", "matplotlib", "sklearn", "pandas", "transformers"}


def loaded(code, *arguments):
    """Names of all modules that a new process has loaded in the end."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit as stop:\n    assert not stop.code\n"
    script += "print('\\n' + '|'.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return set(found.stdout.splitlines()[-1].split("|"))


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["derive", "sam"], ["train", "--help"], ["weak-order", "--help"],
     ["simulate", "--help"], ["figures", "--help"], ["spectrum", "--help"], ["bound", "--help"],
     ["assumptions", "--help"],
     ["order-table", "--help"]],
    ids=" ".join,
)  # fmt: skip
def test_commands_that_compute_nothing(arguments):
    assert loaded("from eigensam.cli import main; main()", *arguments) & HEAVY == set()


@pytest.mark.parametrize("package", ["ground", "landscapes", "sde", "sde.rules", "optim", "bounds", "paper_figures"])
def test_faces(package):
    assert loaded(f"import eigensam.{package}") & {*HEAVY, "numpy", "scipy", "sympy"} == set()


def test_relative_entropy_needs_no_arrays():
    assert loaded("from eigensam.bounds import kl_inverse; kl_inverse(0.1, 0.2)") & {*HEAVY, "numpy", "scipy"} == set()


def test_ground():
    modules = "errors exact_numbers input_file options console outputs records registry run_files row_file"
    found = loaded("import " + ", ".join(f"eigensam.ground.{name}" for name in modules.split()))
    assert found & {*HEAVY, "numpy", "scipy"} == set()
    assert {name.split(".")[1] for name in found if name.startswith("eigensam.")} == {"ground"}


def test_what_is_loaded_is_seen():
    """Wrong on purpose."""
    assert "torch" in loaded("import eigensam.landscapes.landscape")
