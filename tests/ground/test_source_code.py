"""What a module imports counts, whatever comments say; what it does not import does not count."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import eigensam
from eigensam.ground import InputError, code_fingerprint, library_versions
from eigensam.ground.source_code import SourceCode

FILES = {
    "__init__.py": '"""Package."""\n',
    "top.py": '"""Top."""\nfrom .sub import one\nfrom . import alone as o\ndef f():\n    """Doc."""\n    return one\n',
    "alone.py": "def g():\n    from p.lazy import h\n\n    return h\n",
    "lazy.py": "import numpy.linalg as la\nh = 2\nnames = ['page.html.j2', 'no.txt']\n",
    "page.html.j2": "<p>",
    "unused.py": "x = 1\n",
    "sub/__init__.py": "from .deep.number import one\n",
    "sub/deep/__init__.py": "",
    "sub/deep/number.py": "import os\nfrom ...conditional import *\none = 1  # a number\n",
    "conditional.py": "if False:\n    import sklearn\n",
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_found_wherever_they_stand(package):
    code = SourceCode(package, "p")
    reached = ["p", "p.alone", "p.conditional", "p.lazy", "p.sub", "p.sub.deep", "p.sub.deep.number", "p.top"]
    assert sorted(code.modules("p.top")) == reached
    assert code.libraries("p.top") == {"numpy", "sklearn"}
    assert sorted(code.modules("p.sub.deep")) == ["p", "p.conditional", "p.sub", "p.sub.deep", "p.sub.deep.number"]
    with pytest.raises(InputError, match=r"has no module p.gone; give names such as p.module"):
        code.fingerprint("p.gone")


def edited(package, name, change):
    before = SourceCode(package, "p").fingerprint("p.top")
    path = package / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(change(path.read_text() if path.exists() else ""))
    return SourceCode(package, "p").fingerprint("p.top") != before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("top.py", lambda s: "# why\n" + s),
        ("top.py", lambda s: s.replace("Doc.", "Another text.").replace('"""Top."""', "")),
        ("top.py", lambda s: s.replace("return one", "return (\n        one\n    )")),
        ("top.py", lambda s: s + '\n"""A text that stands alone."""\n'),
        ("unused.py", lambda s: "x = 2\n"),
        ("newer/__init__.py", lambda s: "y = 1\n"),
        ("no.md", lambda s: "page"),
    ],
)
def test_what_changes_nothing(package, name, change):
    assert not edited(package, name, change)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sub/deep/number.py", lambda s: s.replace("one = 1", "one = 2")),
        ("sub/deep/number.py", lambda s: s.replace("one = 1", "one = 1.0")),
        ("sub/deep/__init__.py", lambda s: "import torch\ntorch.set_default_dtype(torch.float64)\n"),
        ("lazy.py", lambda s: s.replace("2", "3")),
        ("conditional.py", lambda s: s.replace("False", "True")),
        ("page.html.j2", lambda s: "<b>"),
        ("no.txt", lambda s: "now it is there"),
        ("sub/deep/new/__init__.py", lambda s: "from .. import number"),
    ],
)
def test_what_counts(package, name, change):
    if "new" in name:  # a new subpackage counts as soon as something imports it
        assert edited(package, "lazy.py", lambda s: s + "from .sub.deep import new\n")
    assert edited(package, name, change)


def test_a_list_of_folders_would_miss_a_new_subpackage(package):
    """Wrong on purpose: what was done before this module."""

    def by_hand():
        return [(p.name, p.read_bytes()) for folder in (".", "sub") for p in sorted((package / folder).glob("*.py"))]

    before = by_hand()
    assert edited(package, "sub/deep/number.py", lambda s: s.replace("one = 1", "one = 2"))
    assert by_hand() == before
    assert not edited(package, "alone.py", lambda s: s + "# a comment\n")
    assert by_hand() != before


def test_against_what_python_imports():
    """The second truth: a new process imports nothing of ours that the walk does not know."""
    modules = ("eigensam.optim.training.train", "eigensam.cli")
    script = "import sys\n" + "".join(
        f"import {module}; print(*(m for m in sys.modules if m.split('.')[0] == 'eigensam'))\n" for module in modules
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code = SourceCode(Path(eigensam.__file__).parent, "eigensam")
    for module, line in zip(modules, found.stdout.splitlines(), strict=True):
        assert module in line.split()
        assert set(line.split()) <= code.modules(module).keys()


def test_no_module_is_imported_by_a_name_made_at_run_time():
    root = Path(eigensam.__file__).parent
    for name, path in SourceCode(root, "eigensam").modules("eigensam.cli").items():
        found = re.search(r"import_module|__import__|runpy", path.read_text())
        assert not found or name == "eigensam.ground.registry", name


def test_trainings_do_not_depend_on_bounds_and_figures_not_on_the_report():
    code = SourceCode(Path(eigensam.__file__).parent, "eigensam")
    assert not [
        name for name in code.modules("eigensam.optim.training.train") if ".bounds" in name or "figures" in name
    ]
    for figure in ("weak_order", "figure1", "bound_terms"):
        assert "eigensam.paper_figures.report" not in code.modules(f"eigensam.paper_figures.items.{figure}")
    assert code_fingerprint("eigensam.bounds.concentration.kl") != code_fingerprint("eigensam.optim.training.train")
    with pytest.raises(InputError, match="has no module"):
        code_fingerprint("eigensam.nothing")


def test_libraries():
    versions = library_versions("eigensam.cli")
    assert versions.keys() == {
        "python", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "sympy", "mpmath",
    }  # fmt: skip
    assert not any(number == "not installed" for number in versions.values())


def test_what_a_result_was_made_with_is_every_module(package):
    """One that no command imports may have made it: somebody's figure, or a session at a prompt."""
    code = SourceCode(package, "p")
    names = code.every_module()
    before = code.fingerprint(*names)
    assert "p.alone" in names
    (package / "venv" / "lib" / "python3.11").mkdir(parents=True)  # beside it, and none of it
    (package / "venv" / "lib" / "python3.11" / "site.py").touch()
    assert code.every_module() == names
    (package / "alone.py").write_text("changed = 1\n")
    assert code.fingerprint(*names) != before
    ours = SourceCode(Path(eigensam.__file__).parent, "eigensam").every_module()
    assert {"eigensam.landscapes.spectra.traces", "eigensam.landscapes.analytic.valley", "eigensam.cli"} <= set(ours)
    assert not [each for each in ours if {"tests", "benchmarks"} & set(each.split("."))]
