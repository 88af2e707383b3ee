"""Rows of numbers as JSON lines: appended while a training runs, read back after it was killed."""

import json
import math
from pathlib import Path

from .errors import InputError
from .records import write_atomically

__all__ = ["Row", "RowFile"]

Row = dict[str, float]


class RowFile:
    """One JSON object of numbers on each line, with an entry ``step``; null is NaN.

    Args:
        path: the file; it and its folder are made when the first row comes.

    Example:
        >>> import pathlib, tempfile
        >>> file = RowFile(pathlib.Path(tempfile.mkdtemp()) / "rows.jsonl")
        >>> file.append({"step": 0, "gap": float("nan")})
        >>> file.path.read_text(), file.read()
        ('{"step": 0, "gap": null}\\n', [{'step': 0, 'gap': nan}])
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Row]:
        """All rows, none if there is no file; a last line that a kill cut short is removed from the file.

        Raises:
            InputError: the file cannot be read, or holds something else.
        """
        if not self.path.exists():
            return []
        try:
            whole, _, cut = self.path.read_text().rpartition("\n")
            rows = [self._row(json.loads(line)) for line in whole.splitlines()]
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}; check the path") from None
        except (ValueError, RecursionError):
            raise InputError(
                f"{self.path} does not hold one row of numbers on each line; choose another file"
            ) from None
        if cut:
            self.replace(rows)
        return rows

    def append(self, row: Row) -> None:
        """Write one more line and flush it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(_line(row))
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}; choose a writable place") from None

    def replace(self, rows: list[Row]) -> None:
        """Write all rows anew, atomically."""
        write_atomically(self.path, "".join(map(_line, rows)).encode())

    @staticmethod
    def _row(value: object) -> Row:
        if not isinstance(value, dict) or not isinstance(value.get("step"), int):
            raise ValueError("not a row")
        if not all(item is None or isinstance(item, int | float) for item in value.values()):
            raise ValueError("not numbers")
        return {key: math.nan if item is None else item for key, item in value.items()}


def _line(row: Row) -> str:
    return json.dumps({key: value if math.isfinite(value) else None for key, value in row.items()}) + "\n"
