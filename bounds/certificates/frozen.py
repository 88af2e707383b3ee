"""What was chosen before the kept examples were read, on disk; checked before and after they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...ground.errors import InputError
from ...ground.records import read_json, through_json, write_json
from ...ground.run_files import FROZEN, LOCK

__all__ = ["FrozenChoices"]

_FORMAT = "eigensam-frozen/1"


@dataclass(frozen=True)
class FrozenChoices:
    """All that a certificate depends on and that must not depend on the examples it is about.

    The first certificate of a run writes its choices beside the run before it reads a kept example. A later one must
    have made the same choices, and gives the same number. Other choices, made when the first result is known, would be
    chosen by the data that judge them; so they need looks that the first one has announced and paid for.

    Attributes:
        choices: JSON-ready: digests of split, data and prior; settings; what was chosen on examples that are left out.
        looks: how many certificates may be computed from these kept examples, each at delta over ``looks``.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> FrozenChoices({"scale": 0.1}).write(folder)
        >>> FrozenChoices({"scale": 0.1}).write(folder)  # the same again
        >>> FrozenChoices({"scale": 0.2}).write(folder)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: the kept examples of ... were read for other choices (scale)...
    """

    choices: dict[str, Any]
    looks: int = 1

    def write(self, folder: Path) -> None:
        """Write the choices, unless they are there.

        Raises:
            InputError: others are there and no look is left; another number of looks; a file that is damaged.
        """
        path = folder / FROZEN
        try:
            with FileLock(folder / LOCK):  # the file stays: one that is removed could be locked twice
                self._add(path)
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}; choices are kept with the run, so make its folder writable"
            ) from None

    def _add(self, path: Path) -> None:
        records = self._read(path) if path.exists() else []
        mine = through_json(self.choices)
        if mine in records:
            return
        if records and len(records) >= self.looks:
            names = sorted(name for name in {*mine, *records[-1]} if mine.get(name) != records[-1].get(name))
            raise InputError(
                f"the kept examples of {path.parent} were read for other choices ({', '.join(names)}), and a choice "
                "made after a look is not covered; repeat the first command, or announce more --looks before the "
                f"first ({path} keeps the choices)"
            )
        write_json(path, {"format": _FORMAT, "looks": self.looks, "records": [*records, mine]})

    def check(self, folder: Path) -> None:
        """Refuse if the choices are not those on disk any more, as when the prior has changed.

        Raises:
            InputError: they are not.
        """
        path = folder / FROZEN
        if not path.exists() or through_json(self.choices) not in self._read(path):
            raise InputError(
                f"{path} does not hold these choices: they, or the prior, have changed since they were frozen, so no "
                "certificate is given; train a new prior and begin again"
            )

    def _read(self, path: Path) -> list[Any]:
        damaged = f"{path} is damaged: what was frozen is not known any more, so this run has no certificate"
        try:
            found = read_json(path)
        except InputError:
            raise InputError(damaged) from None
        records = found.get("records") if isinstance(found, dict) and found.get("format") == _FORMAT else None
        if not isinstance(records, list) or not records or not all(isinstance(each, dict) for each in records):
            raise InputError(damaged)
        if found.get("looks") != self.looks:
            raise InputError(
                f"{path} was written for {found.get('looks')} looks, not {self.looks}; repeat the first --looks, or "
                "train a new prior"
            )
        return records
