"""Measured results on disk, reused only for the same settings and the same code."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import InputError
from .fingerprints import fingerprint
from .foreign_code import foreign_code
from .records import provenance, read_json, through_json, write_json
from .source_code import code_fingerprint, library_versions
from .workers import one_thread

__all__ = ["Measured", "Provenance", "measured", "result_key", "single_threaded", "stored"]

Provenance = dict[str, Any]

_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Measured:
    """A result and what it was made with.

    Attributes:
        result: as JSON holds it.
        made_with: :func:`provenance` of the process that measured, or what was given in its place.
        seconds: that measuring took.
        about: what was kept beside it for a reader.
        edited: whether the result was changed after it was measured.

    Example:
        >>> Measured([1.0], {"torch": "2.9", "device": "cpu"})
        Measured(result=list of 1, made_with torch 2.9 on cpu)
    """

    result: Any
    made_with: Provenance
    seconds: float = math.nan
    about: Mapping[str, Any] = field(default_factory=dict)
    edited: bool = False

    def __repr__(self) -> str:
        size = f" of {len(self.result)}" if hasattr(self.result, "__len__") else ""
        made_with = f"torch {self.made_with.get('torch')} on {self.made_with.get('device')}"
        return f"Measured(result={type(self.result).__name__}{size}, made_with {made_with})"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        return {"result": self.result, "made_with": self.made_with}


def result_key(settings: Any, module: str, kind: type | None = None) -> str:
    """Hash of settings, of the code of a module and its imports, and of the libraries that these compute with.

    Equal keys give equal results, on one machine to the last bit. A class of another package counts with the files of
    that package, and with all of this one.

    Args:
        settings: as JSON holds them.
        module: that makes the result.
        kind: class that makes it, where a module holds several.
    """
    name = "" if kind is None else kind.__qualname__
    if module.partition(".")[0] != _PACKAGE:
        every = library_versions(f"{_PACKAGE}.cli")
        return fingerprint(settings, name, foreign_code(kind), code_fingerprint(), every)
    return fingerprint(settings, name, code_fingerprint(module), library_versions(module))


def single_threaded(device: str) -> Provenance:
    """What a measurement in float64 with one thread was made with."""
    import torch  # here: items are listed without it

    with one_thread():
        return provenance(device, torch.float64)


def measured(
    path: Path,
    settings: Any,
    module: str,
    measure: Callable[[], Any],
    made_with: Callable[[], Provenance] = provenance,
    *,
    kind: type | None = None,
    about: Mapping[str, Any] | None = None,
    reusable: Callable[[Any], bool] = lambda result: True,
) -> Measured:
    """The result in ``path`` if it belongs to these settings and this code, else a new one, written there.

    Args:
        path: a JSON file.
        settings: everything that the result depends on besides code, as JSON holds it.
        module: whose code, with all that it imports, makes the result.
        measure: makes it anew.
        made_with: called after ``measure``.
        kind: class in the module that makes the result.
        about: kept beside the result for a reader, as JSON holds it.
        reusable: whether a stored result is used again; one with a hole is not.

    Raises:
        InputError: a file that is not JSON, or whose result was changed by hand; code that was edited meanwhile.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "slope.json"
        >>> for eta, slope in ((0.5, [1.0]), (0.5, [2.0]), (0.25, [3.0])):
        ...     measured(path, {"eta": eta}, "eigensam.ground.errors", lambda: slope).result
        [1.0]
        [1.0]
        [3.0]
    """
    key = result_key(settings, module, kind)
    if path.is_file():
        record = read_json(path)
        if isinstance(record, dict) and record.get("fingerprint") == key and record.keys() >= _ENTRIES:
            if (found := _of_record(path, record)).edited:
                raise InputError(f"{path} is damaged: its result was changed after it was measured; remove the file")
            if reusable(found.result):
                return found
    start = time.perf_counter()
    result = through_json(measure())  # what a later run will read, to the last digit
    seconds = time.perf_counter() - start
    if result_key(settings, module, kind) != key:
        raise InputError(f"the code was edited while {path} was measured, by the old or by the new; measure again")
    found = Measured(result, through_json(made_with()), seconds, through_json(dict(about or {})))
    record = {
        "fingerprint": key,
        "kind": _name(module, kind),
        "settings": settings,
        "about": found.about,
        "made_with": found.made_with,
        "seconds": seconds,
        "result": found.result,
        "sha256": fingerprint(found.result),
    }
    write_json(path, record)
    return found


def stored(path: Path, module: str, kind: type | None = None) -> Measured:
    """The result in a file, whatever code and settings it was made with, also if it was edited since.

    Raises:
        InputError: there is no such file, or it is not JSON, or of another kind.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "slope.json"
        >>> _ = measured(path, {}, "eigensam.ground.errors", lambda: 1.5)
        >>> _ = path.write_text(path.read_text().replace("1.5", "2.5"))
        >>> found = stored(path, "eigensam.ground.errors")
        >>> found.result, found.edited
        (2.5, True)
    """
    if not path.is_file():
        raise InputError(f"{path} is not there; measure it first, without --from-json")
    record = read_json(path)
    if not isinstance(record, dict) or not record.keys() >= _ENTRIES:
        raise InputError(f"{path} is no result of a measurement; remove it, and measure again")
    if record["kind"] != _name(module, kind):
        raise InputError(
            f"{path} is a result of {record['kind']!s:.80}, not of {_name(module, kind)}; remove it, and measure again"
        )
    return _of_record(path, record)


_ENTRIES = {"fingerprint", "kind", "about", "made_with", "seconds", "result", "sha256"}


def _of_record(path: Path, record: dict[str, Any]) -> Measured:
    edited = record["sha256"] != fingerprint(record["result"])
    seconds, made_with, about = record["seconds"], record["made_with"], record["about"]
    plain = isinstance(made_with, dict) and not any(isinstance(each, dict | list) for each in made_with.values())
    if not isinstance(seconds, int | float) or not plain or not isinstance(about, dict):
        raise InputError(
            f"{path}: the entries seconds, made_with and about are not a number and two objects; remove the file"
        )
    return Measured(record["result"], made_with, float(seconds), about, edited)


def _name(module: str, kind: type | None) -> str:
    return module if kind is None else f"{module}.{kind.__qualname__}"
