"""What a training leaves on disk, and how one is killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eigensam.landscapes import read_metrics


def files(directory: Path) -> dict[str, Any]:
    """All files but the sidecar, which says when the run was made; metrics without the clock."""
    paths = [path for path in directory.rglob("*") if path.is_file()]
    found: dict[str, Any] = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    found.pop("checkpoint.json", None)
    if "metrics.jsonl" in found:
        found["metrics.jsonl"] = [
            {name: value for name, value in row.items() if not name.endswith("seconds")}
            for row in read_metrics(directory)
        ]
    return found


def kill_at(step: int) -> Callable[[int, int, dict[str, Any]], None]:
    """A ``progress`` that ends the process's work after so many steps, as Ctrl-C does."""

    def progress(done: int, steps: int, latest: dict[str, Any]) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress
