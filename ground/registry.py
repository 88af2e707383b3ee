"""Named things of one kind that new files, and other people's packages, add to."""

import importlib
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from .errors import InputError

__all__ = ["Registry"]

T = TypeVar("T")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # it becomes a name of files


def _home(entry: Any) -> tuple[str, str]:
    """Module and name of a function or class, or of an object's class."""
    named = entry if hasattr(entry, "__qualname__") else type(entry)
    return str(named.__module__), str(named.__qualname__)


class Registry(Mapping[str, T], Generic[T]):
    """What there is of one kind, by name.

    An entry is registered by the file that defines it. Those of this project lie in one folder, whose modules are
    imported when somebody first asks; those of other packages are found by an entry point whose value is a module that
    registers them. So a new entry is one new file, and nothing lists it.

    Args:
        kind: what it holds, in the singular: "optimizer".
        package: absolute name of the package whose modules register the entries of this project. Written out in full,
            it tells :class:`SourceCode` that results depend on all of them.

    Attributes:
        group: of the entry points, ``eigensam.<kind>`` with dashes.

    Raises:
        InputError: asking for a name that is not there; registering a name twice, or one that is no name of a file.

    Warns:
        UserWarning: a plug-in that cannot be loaded, and why.

    Example:
        >>> colours = Registry("colour", "eigensam.ground")
        >>> @colours.register("red")
        ... def red():
        ...     return "#f00"
        >>> list(colours), colours["red"]()
        (['red'], '#f00')
        >>> colours["blue"]
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: unknown colour 'blue'; choose one of: red
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self.group = f"eigensam.{kind.replace(' ', '-')}"
        self._entries: dict[str, tuple[float, T]] = {}
        self._complete = False

    def register(self, name: str, *, order: float = 100.0) -> Callable[[T], T]:
        """A decorator: the object below it is the entry of this name.

        Args:
            name: as on the command line.
            order: of the list; entries of equal order are listed by name.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"the {self.kind} {name!r} needs another name: small letters, digits, '-', '_' and '.'")

        def add(entry: T) -> T:
            home = _home(entry)
            if not home[0].startswith(f"{self.package}."):
                self._all()  # so that it is told of ours, and not ours of it
            if name in self._entries and not (hasattr(entry, "__qualname__") and _home(self._entries[name][1]) == home):
                raise InputError(f"the {self.kind} '{name}' is registered twice; choose another name for one of them")
            self._entries[name] = (order, entry)  # also a function or class anew: a cell that is run again
            return entry

        return add

    def __getitem__(self, name: str) -> T:
        found = self._all()
        if name not in found:
            raise InputError(f"unknown {self.kind} '{name}'; choose one of: {', '.join(found)}")
        return found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _load(self, point: Any) -> None:
        """One that fails takes nothing away from the others."""
        try:
            point.load()
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            warnings.warn(
                f"the {self.kind} plug-in {point.name} ({point.value}) cannot be loaded: {reason}", stacklevel=2
            )

    def _all(self) -> dict[str, T]:
        if not self._complete:
            self._complete = True  # before: a module that is imported here may ask
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
                for point in entry_points(group=self.group):
                    self._load(point)
            except BaseException:
                self._complete = False
                raise
        listed = sorted(self._entries.items(), key=lambda item: (item[1][0], item[0]))
        return {name: entry for name, (_, entry) in listed}
