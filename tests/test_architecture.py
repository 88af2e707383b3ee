"""The house is as docs/architecture.md says: who may import whom, no circles, small files, short argument lists."""

import ast
import importlib
import re

import pytest

from .house import ROOT, imports, modules, tree

MOST_LINES, MOST_PARAMETERS = 400, 8


def rooms():
    """The table of docs/architecture.md: a room, and the rooms that it may import."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `([\w/.]+)` \|([^|]*)\|[^|]*\|$", text, re.MULTILINE)
    return {room: set(re.findall(r"`([\w/.]+)`", below)) for room, below in rows}


def room_of(module, known):
    """The innermost room of the table that holds a module."""
    path = modules()[module].relative_to(ROOT)
    places = [str(path), *map(str, path.parents)]
    return next((place for place in places if place in known), None)


def arrows():
    for module in modules():
        for each in imports(module):
            yield module, each


def test_every_module_has_a_room():
    known = rooms()
    assert len(known) > 10
    assert {module for module in modules() if module and room_of(module, known) is None} == {"__main__"}
    assert all((ROOT / room).exists() for room in known)


def test_arrows_point_down():
    known = rooms()
    wrong = []
    for module, each in arrows():
        if not each.module or not module or module == "__main__":  # the version
            continue
        start, end = room_of(module, known), room_of(each.module, known)
        if start != end and not any(end == below or end.startswith(f"{below}/") for below in known[start]):
            wrong.append(f"{module}:{each.line} ({start}) imports {each.module} ({end})")
    assert wrong == []


def test_the_table_itself_has_no_circle():
    known = rooms()

    def below(room):
        return {other for name in known[room] for other in known if f"{other}/".startswith(f"{name}/")} - {room}

    assert circles({room: below(room) for room in known}) == []


def test_no_circles_of_files():
    graph = {module: {each.module for each in imports(module)} - {module, ""} for module in modules()}
    assert circles(graph) == []


def circles(graph):
    """What is left when everything that imports nothing left is taken away, again and again, from both ends."""
    left = dict(graph)
    while True:
        used = {other for others in left.values() for other in others if other in left}
        gone = {name for name, others in left.items() if not others & left.keys() or name not in used}
        if not gone:
            return sorted(left)
        left = {name: others for name, others in left.items() if name not in gone}


def test_wrong_arrows_are_found():
    """Wrong on purpose: a solver that knows of networks."""
    known = rooms()
    assert room_of("landscapes.spectra.lanczos_iteration", known) == "landscapes/spectra"
    assert room_of("landscapes.networks.network", known) not in known["landscapes/spectra"]


def test_circles_are_found():
    """Wrong on purpose."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]


def test_nothing_inside_is_imported_through_a_face():
    """Results are keyed by the code that they import; a lazy face does not say what that is."""
    packages = {name for name, path in modules().items() if path.name == "__init__.py" and name}
    assert [(module, each) for module, each in arrows() if each.module in packages] == []


@pytest.mark.parametrize("face", sorted(str(p.parent.relative_to(ROOT)) for p in ROOT.glob("*/**/__init__.pyi")))
def test_faces(face):
    """Each name is there, is what the stub says, and is not hidden by a module of the same name."""
    package = importlib.import_module("eigensam." + face.replace("/", "."))
    stub = tree(ROOT / face / "__init__.pyi")
    named = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    listed = next(ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    assert set(listed) == named.keys() == set(package.__all__)
    for name, module in named.items():
        source = importlib.import_module(f".{module}", package.__name__)
        assert getattr(package, name) is getattr(source, name)
    assert named.keys() & {path.stem for path in (ROOT / face).iterdir()} == set()


MANY = {"eigenvalue_bound", "simulate"}
"""Their parameters are the quantities of the theorem, and those of an ensemble."""


def takes_settings(path, function):
    """Whether its parameters are settings, or not its own choice.

    A constructor has its object's settings, a command its options, a rule of the Taylor pass those of the torch
    function that it stands in for.
    """
    decorators = [each.func for each in function.decorator_list if isinstance(each, ast.Call)]
    rule = any(isinstance(each, ast.Name) and each.id == "rule" for each in decorators)
    return rule or function.name in {"__init__", *MANY} or path.name == "commands.py"


def python_files():
    """Tests and benchmarks, too."""
    return [*modules().values(), *(path for part in ("tests", "benchmarks") for path in (ROOT / part).rglob("*.py"))]


def test_files_are_short():
    assert {str(p): n for p in python_files() if (n := p.read_text().count("\n")) > MOST_LINES} == {}


def test_argument_lists_are_short():
    """Settings are data classes; a function takes few things."""
    long = []
    for path in python_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and not takes_settings(path, node):
                names = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = sum(each.arg not in ("self", "cls") for each in names)
                if count > MOST_PARAMETERS:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {count}")
    assert long == []
