"""A kind of landscape from another package is found, read from a file, and measured like those of this one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import eigensam
from eigensam.ground import InputError
from eigensam.ground.source_code import SourceCode
from eigensam.landscapes import LANDSCAPES, Quadratic, landscape_kind, read_landscape
from eigensam.landscapes.analytic.landscape_kinds import number_lists

WIDTHS = {"widths": [[1.0], [2.0]]}


class Bowl(Quadratic):
    """Minibatches of bowls with a common centre, each of its own width."""

    def __init__(self, widths):
        super().__init__([[[1 / w]] for (w,) in widths], [[0.1]] * len(widths))
        self.widths = widths

    def to_dict(self):
        return {"kind": "bowl", "widths": self.widths}

    def as_quadratic(self):
        return super().to_dict()


def _add():
    @landscape_kind("bowl", WIDTHS)
    def read(given):
        return Bowl(number_lists("widths", given["widths"], WIDTHS["widths"]))


class Point:
    """An entry point whose module registers the kind."""

    def load(self):
        _add()


@pytest.fixture(params=["decorator", "entry point"])
def bowl(request, monkeypatch):
    monkeypatch.setattr(LANDSCAPES, "_entries", {name: (i, LANDSCAPES[name]) for i, name in enumerate(LANDSCAPES)})
    if request.param == "decorator":
        _add()
    else:
        monkeypatch.setattr(LANDSCAPES, "_complete", False)
        found = {"eigensam.landscape": [Point()]}
        monkeypatch.setattr("eigensam.ground.registry.entry_points", lambda group: found[group])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "bowl.json"
    path.write_text(json.dumps({"kind": "bowl", **WIDTHS}))
    return path


@pytest.mark.usefixtures("bowl")
def test_a_kind_of_another_package_is_read(path):
    landscape = read_landscape(path)
    assert isinstance(landscape, Bowl)
    assert landscape.hessian.flatten().tolist() == [1.0, 0.5]
    path.write_text('{"kind": "bowl", "widths": 2}')
    with pytest.raises(InputError, match=r"bowl.json: key 'widths' is 2; expected lists in lists of numbers such as"):
        read_landscape(path)
    path.write_text('{"kind": "bowl"}')
    with pytest.raises(InputError, match=r"'widths' is missing; a bowl has the keys kind, widths, such as .*: add it"):
        read_landscape(path)
    path.write_text('{"kind": "cup"}')
    with pytest.raises(InputError, match="one of torus, quadratic, formula, bowl, such as"):
        read_landscape(path)


@pytest.mark.usefixtures("bowl")
def test_its_weak_order_is_measured(cli, path, tmp_path):
    """With the numbers of the quadratic that it is."""
    written = []
    equal = tmp_path / "equal.json"
    equal.write_text(json.dumps(read_landscape(path).as_quadratic()))
    for file in (path, equal):
        outcome = cli("weak-order", "sgd", "--method", "moments", "--landscape", file, "--json", tmp_path / "o.json")
        assert outcome.code == 0, outcome
        written.append(json.loads((tmp_path / "o.json").read_text()))
    assert written[0]["verdict"] == "pass"
    assert written[0]["errors"] == written[1]["errors"]


def test_without_the_package_it_is_refused(path):
    with pytest.raises(InputError, match="found 'bowl'; expected an object whose key 'kind' is one of torus"):
        read_landscape(path)


def test_a_name_is_taken():
    with pytest.raises(InputError, match="the landscape 'torus' is registered twice"):
        landscape_kind("torus", {})(lambda given: None)


def test_every_example_is_read():
    for name, kind in LANDSCAPES.items():
        assert kind.read(kind.example).to_dict()["kind"] == name


def test_the_kinds_are_listed_without_torch():
    program = (
        "import sys\nfrom eigensam.landscapes.analytic.landscape_kinds import LANDSCAPES\n"
        "print(list(LANDSCAPES), 'torch' in sys.modules or 'sympy' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['torus', 'quadratic', 'formula'] False"


def test_what_reads_landscapes_depends_on_every_kind():
    code = SourceCode(Path(eigensam.__file__).parent, "eigensam")
    kinds = {f"eigensam.landscapes.analytic.kinds.{name}" for name in LANDSCAPES}
    assert kinds <= code.modules("eigensam.landscapes.analytic.landscape_file").keys()
    assert not kinds & code.modules("eigensam.landscapes.analytic.torus").keys()  # its numbers do not
