"""The code that a result depends on: a module, whatever it imports, and the versions of the libraries that compute."""

import ast
import hashlib
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .errors import InputError

__all__ = ["SourceCode", "code_fingerprint", "library_versions"]

_NO_NUMBERS = frozenset({"filelock", "jinja2", "joblib", "lazy_loader", "matplotlib", "rich", "safetensors", "typer"})
"""Libraries that no number comes from: they draw, print, lock, store and start processes."""

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where they are not called like their modules

_OUTSIDE = {"benchmarks", "build", "tests"}  # packages beside it that it is shipped without
_NO_MODULES = {"__init__.py", "setup.py"}

_FILE_NAME = re.compile(r"[\w-]+(\.[\w-]+)+")


@dataclass(frozen=True)
class _Module:
    """What one file says.

    Attributes:
        digest: of its syntax tree without texts that stand alone.
        imports: level (number of leading dots), module, and the name taken from it; empty where there is none.
        texts: strings that could be names of files.
    """

    digest: bytes
    imports: frozenset[tuple[int, str, str]]
    texts: frozenset[str]


class SourceCode:
    """A package's modules, read and not run: what a module imports, and a fingerprint of all of that.

    Imports are found in the syntax tree wherever they stand, in functions and under conditions too. A module counts
    with the ``__init__`` files of the packages that it lies in, because Python runs those first, and with the files
    beside it that it names in a string (a template), and so do the modules of a package whose full name is one of its
    strings (a registry). What is not counted: comments, docstrings, formatting; any other module whose name is made at
    run time.

    Args:
        root: folder of the package.
        name: of the package.

    Example:
        >>> import pathlib, tempfile
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for file, text in (("__init__", ""), ("a", "from .b import c"), ("b", "c = 1"), ("d", "e = 2")):
        ...     _ = (root / f"{file}.py").write_text(text)
        >>> sorted(SourceCode(root, "p").modules("p.a"))
        ['p', 'p.a', 'p.b']
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name

    def modules(self, *modules: str) -> dict[str, Path]:
        """The named modules and all that they import from the package, transitively: name to file."""
        found: dict[str, Path] = {}
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            path = self._path(module)
            if path is not None and module not in found:
                found[module] = path
                waiting += [module.rpartition(".")[0], *self._imports(module, path), *self._named(path)]
        return found

    def every_module(self) -> list[str]:
        """Names of all modules of the package, used or not; packages themselves are left out, and so are tests.

        Only folders that are packages are entered: a virtual environment beside them is none of ours.
        """
        found, waiting = [], [(self.root, self.name)]
        while waiting:
            folder, name = waiting.pop()
            found += [f"{name}.{file.stem}" for file in folder.glob("*.py") if file.name not in _NO_MODULES]
            inner = (file.parent for file in folder.glob("*/__init__.py"))
            waiting += [(each, f"{name}.{each.name}") for each in inner if each.name not in _OUTSIDE]
        return sorted(found)

    def libraries(self, *modules: str) -> set[str]:
        """Names of everything that these modules import from elsewhere, the standard library aside."""
        every = (self._imports(module, path) for module, path in self.modules(*modules).items())
        names = {name.partition(".")[0] for names in every for name in names}
        return names - {self.name} - sys.stdlib_module_names

    def fingerprint(self, *modules: str) -> str:
        """SHA-256 of what the modules and their imports do, whatever comments and docstrings say about it.

        Raises:
            InputError: there is no such module; it is a package, whose face loads its modules by need, so that what
                is used of them is not known.
        """
        found = self.modules(*modules)
        for module in set(modules) & found.keys():
            if found[module].name == "__init__.py":
                raise InputError(f"{module} is a package; name the module in it that makes the result")
        if missing := sorted(set(modules) - found.keys()):
            raise InputError(f"{self.root} has no module {missing[0]}; give names such as {self.name}.module")
        digest = hashlib.sha256()
        for module, path in sorted(found.items()):
            content = _read(path.read_bytes())
            digest.update(f"{module}\n".encode() + content.digest)
            for text in sorted(content.texts):
                if (path.parent / text).is_file():
                    digest.update(f"{text}\n".encode() + hashlib.sha256((path.parent / text).read_bytes()).digest())
        return digest.hexdigest()

    def _path(self, module: str) -> Path | None:
        """The file of a module, if there is one in this package."""
        first, *rest = module.split(".")
        place = self.root.joinpath(*rest)
        files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
        return next((file for file in files if first == self.name and file.is_file()), None)

    def _named(self, path: Path) -> Iterator[str]:
        """Modules of the packages that a file names in a string: a registry imports them by that name."""
        for text in _read(path.read_bytes()).texts:
            folder = self._path(text)
            if folder is not None and folder.name == "__init__.py":
                yield from (f"{text}.{file.stem}" for file in folder.parent.glob("*.py") if file != folder)
                yield from (f"{text}.{file.parent.name}" for file in folder.parent.glob("*/__init__.py"))

    @staticmethod
    def _imports(module: str, path: Path) -> set[str]:
        """Absolute names; some are no modules but what a module holds."""
        package = module.split(".")[: None if path.name == "__init__.py" else -1]
        found = set()
        for level, name, taken in _read(path.read_bytes()).imports:
            above = package[: len(package) - level + 1] if level else []
            base = ".".join([*above, *([name] if name else [])])
            found |= {base, f"{base}.{taken}"} if taken else {base}
        return found


@cache
def _read(source: bytes) -> _Module:
    tree = ast.parse(source)
    imports: set[tuple[int, str, str]] = set()
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {(0, alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports |= {(node.level, node.module or "", alias.name) for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _FILE_NAME.fullmatch(node.value):
            texts.add(node.value)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
    return _Module(hashlib.sha256(ast.dump(tree).encode()).digest(), frozenset(imports), frozenset(texts))


def _is_text(node: ast.AST) -> bool:
    """A string that stands alone, such as a docstring: it does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _package() -> SourceCode:
    """This package as it is on disk now."""
    return SourceCode(Path(__file__).resolve().parent.parent, __name__.partition(".")[0])


def code_fingerprint(*modules: str) -> str:
    """SHA-256 of these modules of the package and of all that they import, read anew at each call; of none, all.

    Example:
        >>> code_fingerprint("eigensam.landscapes.landscape") == code_fingerprint("eigensam.bounds.concentration.kl")
        False
    """
    package = _package()
    return package.fingerprint(*(modules or package.every_module()))


@cache
def library_versions(*modules: str) -> dict[str, str]:
    """Versions of Python and of the libraries that these modules of the package, or their imports, compute with.

    Every library counts, but for those that are known to make no numbers.

    Example:
        >>> {"python", "sympy", "torch"} <= library_versions("eigensam.landscapes.landscape").keys()
        True
        >>> "matplotlib" in library_versions("eigensam.cli")
        False
    """
    result = {"python": platform.python_version()}
    for name in sorted(_package().libraries(*modules) - _NO_NUMBERS):
        distribution = _DISTRIBUTIONS.get(name, name)
        try:
            result[distribution] = version(distribution)
        except PackageNotFoundError:
            result[distribution] = "not installed"
    return result
