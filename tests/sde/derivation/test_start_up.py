"""What ``derive`` loads: text is made of text, so no library that computes with arrays."""

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "scipy", "matplotlib", "sklearn", "numpy", "sympy"]

DERIVE = """
import json, sys
import typer
from eigensam.sde.commands import derive_command

app = typer.Typer()
app.command()(derive_command)
app({arguments!r}, standalone_mode=False)
{more}
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(*arguments, more=""):
    code = DERIVE.format(arguments=list(arguments), more=more)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("form", ["text", "latex", "torch"])  # JSON says what it was made with, and asks torch
def test_derive_loads_no_arrays(form):
    loaded = modules_after("sam", "--format", form)
    assert "eigensam.sde.derivation.torch_code" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_proof_and_the_lengths_of_vectors_load_none(tmp_path):
    loaded = modules_after(
        "eigen-sam", "--weak-order", "2", "--rho-exponent", "2/3", "--proof", str(tmp_path / "p.tex")
    )
    assert loaded.isdisjoint(HEAVY)


def test_a_module_that_computes_would_be_seen():
    assert "torch" in modules_after("sgd", more="import eigensam.sde.simulation.problems.coefficients")
