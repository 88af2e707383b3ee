"""Named things of one kind that new files, and other people's packages, add to."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from .errors import InputError

__all__ = ["Registry"]

T = TypeVar("T")


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
        InputError: asking for a name that is not there; registering a name twice.

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

        def add(entry: T) -> T:
            if name in self._entries:
                raise InputError(f"the {self.kind} '{name}' is registered twice; choose another name for one of them")
            self._entries[name] = (order, entry)
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

    def _all(self) -> dict[str, T]:
        if not self._complete:
            self._complete = True  # before: a module that is imported here may ask
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
                for point in entry_points(group=self.group):
                    point.load()
            except BaseException:
                self._complete = False
                raise
        listed = sorted(self._entries.items(), key=lambda item: (item[1][0], item[0]))
        return {name: entry for name, (_, entry) in listed}
