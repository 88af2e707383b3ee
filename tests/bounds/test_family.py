"""A bound of somebody else is in the help, in a run and in the JSON; its settings are its options."""

import json
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from eigensam.bounds import BOUNDS, Bound, BoundFamily, Term
from eigensam.ground import InputError


@dataclass(frozen=True)
class Constant(BoundFamily):
    title = "A constant"

    delta: float = field(default=0.5, metadata={"help": "Probability of failure."})
    value_of_bound: float = field(default=2.0, metadata={"help": "What the bound is."})

    def check(self):
        if self.value_of_bound < 0:
            raise InputError(f"--value-of-bound {self.value_of_bound} is negative; give a positive number")

    def bound(self, run, data, *, device, progress):
        terms = [Term("constant", self.value_of_bound, "estimate")]
        return Bound(terms, self.value_of_bound, 0.9, True, "estimate", self.delta, {}, [f"{len(data.train_targets)}"])


@pytest.fixture
def constant(monkeypatch):
    """Registered as a decorator would; forgotten after the test."""
    list(BOUNDS)
    monkeypatch.setattr(BOUNDS, "_entries", dict(BOUNDS._entries))
    BOUNDS.register("constant")(Constant)


def test_a_bound_from_outside(cli, refused, constant, trained, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = cli("bound", "--help").out
    assert "One of: theorem-4.1, constant." in text
    for words in ("--value-of-bound", "What the bound is.", "Of --kind constant", "Of --kind theorem-4.1", "--p-min"):
        assert words in text

    run = ("bound", trained, "--kind", "constant", "--json", tmp_path / "b.json", "--device", "cpu")
    assert cli(*run, "--value-of-bound", 3).code == 0
    found = json.loads((tmp_path / "b.json").read_text())
    assert (found["bound"], found["delta"], found["assumptions"]) == (3.0, 0.5, ["1437"])
    outcome = cli(*run, "--delta", 0.25)
    assert "A constant, delta = 0.25" in outcome.out
    assert json.loads((tmp_path / "b.json").read_text())["bound"] == 2.0

    assert "--value-of-bound -1.0 is negative" in refused(*run, "--value-of-bound", -1)
    assert "--p-min has no effect here: it belongs to --kind theorem-4.1" in refused(*run, "--p-min", 0.1)
    assert "--delta is given twice" in refused(*run, "--delta", 0.1, "--delta", 0.2)


def test_options_of_others_are_refused_without_a_kind(refused, constant, trained):
    assert "--value-of-bound has no effect here" in refused("bound", trained, "--value-of-bound", 1)


def test_unknown_kind(refused, trained):
    assert "unknown bound 'pac'; choose one of: theorem-4.1" in refused("bound", trained, "--kind", "pac")


def test_settings_are_json():
    found = BOUNDS["theorem-4.1"](delta=0.1).to_dict()
    assert list(found) == [
        "delta",
        "p_min",
        "prior",
        "sigma",
        "batch_size",
        "max_products",
        "top",
        "probes",
        "ascents",
        "random_directions",
        "derivative_examples",
        "draws",
        "rho",
        "gradients",
        "squared_input_norm",
        "eigenvalue_share",
        "mc_share",
        "along",
        "single",
        "seed",
    ]
    assert found["delta"] == 0.1


def test_help_loads_no_torch():
    code = (
        "import sys; from eigensam.bounds.commands import BoundCommand, bound; import typer\n"
        "app = typer.Typer(add_completion=False); app.command(cls=BoundCommand)(bound)\n"
        "app(['--help'], standalone_mode=False)\n"
        "assert not [m for m in ('torch', 'numpy', 'scipy.stats', 'matplotlib') if m in sys.modules]\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--max-products" in found.stdout


@pytest.mark.parametrize(("name", "value"), [("batch_size", 1.5), ("max_products", True), ("delta", "0.1")])
def test_types_of_settings(name, value):
    with pytest.raises(InputError, match=f"{name} = .* is not of type"):
        BOUNDS["theorem-4.1"](**{name: value}).check()
