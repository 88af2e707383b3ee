"""What is shipped: the source distribution holds all, the wheel each package; lower bounds are tested ones."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import eigensam

ROOT = Path(eigensam.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_MADE = {"__pycache__", "build", "dist", "out", "runs", "shared"}  # by tests, tools and people


def _files(root):
    """All that belongs to the project, as .gitignore has it."""
    found = set()
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        made = any(part in _MADE or part.endswith(".egg-info") for part in parts)
        if path.is_file() and not hidden and not made:
            found.add("/".join(parts))
    return found


def _build(hook, source, target):
    """What pip and ``python -m build`` call, with the setuptools that is here: nothing is fetched."""
    code = f"from setuptools.build_meta import {hook}; import sys; print({hook}(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, target], cwd=source, check=True, capture_output=True)
    (archive,) = target.iterdir()
    return archive


def test_the_source_distribution_holds_the_whole_suite(tmp_path):
    expected = _files(ROOT)
    for name in expected:  # a copy, so that nothing is left in the project
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "copy" / name)
    (tmp_path / "sdist").mkdir()
    with tarfile.open(_build("build_sdist", tmp_path / "copy", tmp_path / "sdist")) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert expected - names - {".gitignore"} == set()
    assert {"tests/conftest.py", "tests/sde/derivation/composed.py", ".ci/run", "README.md"} <= names
    assert {name.split("/")[0] for name in names - expected} <= {"PKG-INFO", "setup.cfg", "eigensam.egg-info"}


def test_the_wheel_holds_every_package(tmp_path):
    """And nothing else: no tests, no benchmarks. The list is read off the folders, by setup.py."""
    for name in _files(ROOT):
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "copy" / name)
    (tmp_path / "wheel").mkdir()
    with zipfile.ZipFile(_build("build_wheel", tmp_path / "copy", tmp_path / "wheel")) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    outside = {"benchmarks", "docs", "setup.py", "tests"}
    shipped = {name for name in _files(ROOT) if name.split("/")[0] not in outside}
    assert names == {f"eigensam/{name}" for name in shipped if name.endswith((".py", ".pyi", ".j2", "py.typed"))}


def test_lower_bounds_are_those_that_are_tested():
    project = PROJECT["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    bounds = dict(item.split(">=") for item in required)
    lines = re.findall(r"^([\w-]+)==(\S+)$", (ROOT / ".ci" / "lowest.txt").read_text(), re.MULTILINE)
    assert [name for name, _ in lines] == list(bounds)
    for name, tested in lines:
        assert _release(tested) == _release(bounds[name]), name


def _release(text):
    """``1.3`` and ``1.3.0`` are one release."""
    return tuple(int(part) for part in [*text.split("."), "0", "0"][:3])


def test_warnings_of_others_fail_no_user():
    """``-W error`` belongs to .ci/run: a new release of a dependency may warn of what it likes."""
    assert "error" not in PROJECT["tool"]["pytest"]["ini_options"].get("filterwarnings", [])
    assert "-W error" in (ROOT / ".ci" / "run").read_text()
