"""The code of other packages that a result depends on: the files of a plug-in."""

import ast
import hashlib
import sys
from pathlib import Path
from typing import Any

from .fingerprints import fingerprint

__all__ = ["foreign_code"]

_PACKAGE = __name__.partition(".")[0]


def foreign_code(*entries: Any) -> str:
    """SHA-256 of the code that classes, functions or objects of other packages come from; empty if all are ours.

    Of a package every file counts, of a single module the modules beside it that it imports, too. What a session at a
    prompt has defined counts by its compiled code. Libraries that a plug-in uses do not count, nor does the order.

    Example:
        >>> foreign_code(foreign_code)
        ''
        >>> import doctest
        >>> len(foreign_code(doctest.DocTestFinder))
        64
    """
    foreign = [each for each in entries if _module(each).partition(".")[0] != _PACKAGE]
    digests = sorted({_digest(each) for each in foreign})  # a set of classes comes in another order in each process
    return hashlib.sha256(b"".join(digests)).hexdigest() if digests else ""


def _digest(entry: Any) -> bytes:
    digest = hashlib.sha256(f"{_module(entry)}\n".encode())
    files = _files(_module(entry))
    for file in sorted(files):
        digest.update(f"{file.name}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    if not files:
        digest.update(fingerprint(entry).encode())
    return digest.digest()


def _module(entry: Any) -> str:
    return str(getattr(entry, "__module__", None) or type(entry).__module__)


def _files(name: str) -> set[Path]:
    """The files that a module's code is in; none if it has no file."""
    package = sys.modules.get(name.partition(".")[0])
    if package is not None and getattr(package, "__file__", None) and hasattr(package, "__path__"):
        return set(Path(str(package.__file__)).parent.rglob("*.py"))
    file = getattr(sys.modules.get(name), "__file__", None)
    found: set[Path] = set()
    waiting = [Path(file)] if file else []
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file() and path.suffix == ".py":
            found.add(path)
            waiting += [path.with_name(f"{module}.py") for module in _imported(path)]
    return found


def _imported(path: Path) -> set[str]:
    """First parts of the names that a file imports, wherever the statement stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names
