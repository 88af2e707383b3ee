"""Measured results on disk, reused only for the same settings and the same code."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..landscapes import code_fingerprint, provenance, read_json, write_json

__all__ = ["fingerprint", "measured"]


def fingerprint(settings: Any) -> str:
    """Hash of settings and code version; equal ones give equal results."""
    return hashlib.sha256(json.dumps([settings, code_fingerprint()], sort_keys=True).encode()).hexdigest()


def measured(path: Path, settings: Any, measure: Callable[[], Any]) -> Any:
    """The result in ``path`` if it belongs to these settings and this code, else a new one, written there.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "slope.json"
        >>> measured(path, {"eta": 0.5}, lambda: [1.0]), measured(path, {"eta": 0.5}, lambda: [2.0])
        ([1.0], [1.0])
        >>> measured(path, {"eta": 0.25}, lambda: [3.0])
        [3.0]
    """
    key = fingerprint(settings)
    if path.is_file():
        record = read_json(path)
        if isinstance(record, dict) and record.get("fingerprint") == key and "result" in record:
            return record["result"]
    result = measure()
    write_json(path, {"fingerprint": key, "settings": settings, "made_with": provenance(), "result": result})
    return read_json(path)["result"]  # what a later run will read, to the last digit
