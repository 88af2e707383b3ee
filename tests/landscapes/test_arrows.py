"""Which rooms of ``landscapes`` may import which: no circle among them, and spectra know no loss."""

import ast
from pathlib import Path

import eigensam

ROOT = Path(eigensam.__file__).parent / "landscapes"
NETWORKS = {"landscape", "derivatives", "networks"}
MAY_IMPORT = {
    "derivatives": set(),
    "spectra": set(),
    "tensor_files": set(),
    "landscape": {"derivatives"},
    "analytic": {"landscape"},
    "networks": {"landscape", "derivatives"},
    "runs": {*NETWORKS, "tensor_files", "analytic"},
    "curvature": {*NETWORKS, "tensor_files", "spectra"},
}
"""Of each room, the other ones that its files may import. What lies beside the rooms may import all of them."""


def imported_rooms(path, text):
    """The rooms that a file imports from, at any depth in its code."""
    package = [*path.relative_to(ROOT).parts][:-1]
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(package) + 1:
            base = [*package[: len(package) + 1 - node.level], *(node.module or "").split(".")]
            names = [part for part in base if part]
            found |= {names[0]} if names else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eigensam.landscapes"):
            found.add([*node.module.split("."), ""][2])
    return found


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_arrows_between_rooms():
    for path in ROOT.rglob("*.py"):
        room = room_of(path)
        if room in MAY_IMPORT:
            assert imported_rooms(path, path.read_text()) <= MAY_IMPORT[room] | {room}, path


def test_the_rooms_are_all_there_and_make_no_circle():
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= MAY_IMPORT.keys()
    below = {}
    while len(below) < len(MAY_IMPORT):
        ready = [room for room in MAY_IMPORT if room not in below and MAY_IMPORT[room] - {room} <= below.keys()]
        assert ready
        below |= dict.fromkeys(ready)


def test_a_wrong_arrow_is_found():
    """Wrong on purpose: solvers that know of networks, also inside a function."""
    path = ROOT / "spectra" / "lanczos_iteration.py"
    assert imported_rooms(path, "def f():\n    from ..networks.network import NetworkLandscape") == {"networks"}
    assert imported_rooms(path, "from .. import curvature\nfrom ...ground.errors import InputError") == {"curvature"}
    assert imported_rooms(path, "from eigensam.landscapes.runs.data import load_data") == {"runs"}
    deep = ROOT / "derivatives" / "taylor" / "jet.py"
    assert imported_rooms(deep, "from ...landscape import Landscape\nfrom ..flat import flatten") == {
        "landscape",
        "derivatives",
    }
