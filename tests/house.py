"""What the source says of itself: modules, imports, functions. Read from the tree, so that no list can be forgotten."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import eigensam

ROOT = Path(eigensam.__file__).parent
OUTSIDE = {"benchmarks", "build", "setup.py", "tests"}


@dataclass(frozen=True)
class Import:
    """One name that a module takes from another module of this package.

    Attributes:
        module: where it is looked up; a package if it is taken through a face.
        name: empty if the module itself is imported.
        line: of the statement.
    """

    module: str
    name: str
    line: int


@cache
def modules() -> dict[str, Path]:
    """Name within the package to file; the name of a package is that of its ``__init__``."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        ours = all((ROOT.joinpath(*parts[:i]) / "__init__.py").is_file() for i in range(len(parts)))
        if ours and parts[0] not in OUTSIDE:
            found[".".join(parts).removesuffix(".py").removesuffix("__init__").rstrip(".")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(name: str) -> list[Import]:
    """Wherever they stand: also in functions and for type checkers only."""
    path = modules()[name]
    package = [*name.split(".")] if path.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ImportFrom) or not (node.level or (node.module or "").startswith("eigensam")):
            continue
        above = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*above, *((node.module or "").removeprefix("eigensam").strip(".").split("."))]).strip(".")
        for alias in node.names:
            inner = f"{base}.{alias.name}".strip(".")
            module, taken = (inner, "") if inner in modules() else (base, alias.name)
            found.append(Import(module, taken, node.lineno))
    return found
