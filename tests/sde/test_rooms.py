"""The rooms of this package import downwards only, and no module imports itself by way of others."""

import ast
from pathlib import Path

import eigensam

ROOT = Path(eigensam.__file__).parent
ROOMS = ["rules", "algebra", "derivation", "simulation", "weak_order"]


def imports():
    """Module -> modules of ``sde`` that it imports anywhere, within functions and for types, too."""
    files = {path: path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "sde").rglob("*.py")}
    modules = {parts for parts in files.values() if parts[-1] != "__init__"}
    found = {}
    for path, parts in files.items():
        if parts in modules:
            taken = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.level:
                    base = (*parts[: -node.level], *(node.module.split(".") if node.module else ()))
                    taken |= {base, *((*base, alias.name) for alias in node.names)}
            found[parts] = taken & modules
    return found


def circle(graph):
    """What is left, circles and all above them, when modules that import nothing are taken away again and again."""
    left = dict(graph)
    while free := [module for module, taken in left.items() if not taken & left.keys()]:
        for module in free:
            del left[module]
    return sorted(left)


def upwards(graph):
    """Imports from a lower room into a higher one; commands and arguments stand above all rooms."""
    height = {room: number for number, room in enumerate(ROOMS)}
    return [
        (module, other)
        for module, taken in graph.items()
        for other in taken
        if module[1] in height and other[1] in height and height[module[1]] < height[other[1]]
    ]


def test_imports_point_down_and_close_no_circle():
    graph = imports()
    assert ("sde", "rules", "nodes") in graph["sde", "rules", "language"]
    assert circle(graph) == []
    assert upwards(graph) == []


def test_what_is_wrong_is_found():
    graph = imports()
    language, nodes, sums = ("sde", "rules", "language"), ("sde", "rules", "nodes"), ("sde", "algebra", "sums")
    assert {language, nodes} <= set(circle(graph | {nodes: {language}}))
    assert upwards(graph | {nodes: {sums}}) == [(nodes, sums)]
