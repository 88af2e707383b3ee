"""What a training measured after each epoch."""

import json
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from ...ground.run_files import METRICS, SIDECAR
from .checkpoint import Checkpoint

__all__ = ["read_metrics"]


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The metrics of a run, one dictionary per epoch.

    Raises:
        InputError: no such file, not JSON lines, or not one line for each epoch.
    """
    path = Path(directory) / METRICS
    finished = path.with_name(SIDECAR).is_file()
    try:
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
        epochs = Checkpoint.read(path.parent).epochs if finished else len(rows)
        if len(rows) != epochs or [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
            raise ValueError("lines are missing")
        return rows
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; give a run directory made by 'eigensam train'"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: it does not hold one line for each epoch; train again") from None
