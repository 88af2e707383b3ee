"""The numbers of one run in a file of their own: a sweep that was interrupted goes on from there."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.records import read_json, through_json, write_json

__all__ = ["is_kept", "kept_record"]


def kept_record(path: Path, code: str, settings: dict[str, Any], measure: Callable[[], Any]) -> Any:
    """What was measured, from a file if it is there already.

    Args:
        path: of the record; its folder is made.
        code: hash of the code that the numbers depend on.
        settings: all else that they depend on, as JSON holds it; a record of other code or settings is replaced.
        measure: makes the numbers.

    Raises:
        InputError: a record whose numbers were changed, with its name; what ``measure`` refuses.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "runs" / "a.json"
        >>> kept_record(path, "code", {"seed": 0}, lambda: [0.5]), kept_record(path, "code", {"seed": 0}, lambda: 1 / 0)
        ([0.5], [0.5])
    """
    key = fingerprint(code, settings)
    kept = read_json(path) if path.is_file() else None
    if isinstance(kept, dict) and kept.get("fingerprint") == key:
        if kept.get("sha256") != fingerprint(kept.get("result")):
            raise InputError(f"{path} is damaged: its result was changed after it was measured; remove the file")
        return kept["result"]
    begun = time.process_time()
    result = through_json(measure())
    # What it cost is no part of the result, which is the same again to the last bit.
    record = {"fingerprint": key, "settings": settings, "processor_seconds": round(time.process_time() - begun, 2)}
    write_json(path, {**record, "result": result, "sha256": fingerprint(result)})
    return result


def is_kept(path: Path, code: str, settings: dict[str, Any]) -> bool:
    """Whether :func:`kept_record` would measure nothing.

    Example:
        >>> is_kept(Path("nowhere.json"), "code", {})
        False
    """
    if not path.is_file():
        return False
    kept = read_json(path)
    return isinstance(kept, dict) and kept.get("fingerprint") == fingerprint(code, settings)
