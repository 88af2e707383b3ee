"""The directory that a training fills: where it grows, what may stand in its way."""

import os
from pathlib import Path

from filelock import FileLock, Timeout

from ...ground.errors import InputError
from ...ground.run_files import LOCK, RUN_FILES, SIDECAR, SNAPSHOTS, STATE, snapshot_epoch

__all__ = ["BUSY", "check_run", "foreign_names", "is_temporary", "unfinished"]

BUSY = "another process is writing {}; wait until it has finished, or choose another --out"


def unfinished(out: Path) -> Path:
    """Where a run is while it is not finished.

    Raises:
        InputError: the root folder.

    Example:
        >>> unfinished(Path("/runs/a")).as_posix()
        '/runs/a.partial'
    """
    whole = Path(os.path.realpath(out))
    if not whole.name:
        raise InputError(f"{out} cannot be a run directory; choose another --out")
    return whole.with_name(whole.name + ".partial")


def check_run(out: Path, *, resume: bool = False) -> None:
    """Refuse a run directory that cannot be made, before any work and before anything is written.

    Args:
        out: run directory.
        resume: an unfinished or a finished run may be there.

    Raises:
        InputError: there is something else; one stands in the folder; another process is writing the run; an
            unfinished run is in the way.
    """
    partial = unfinished(out)
    if Path(os.path.realpath(out)) in (here := Path.cwd().resolve(), *here.parents):
        raise InputError(
            f"--out {out} holds the folder that the command runs in, which a finished run would replace; "
            "choose a new --out"
        )
    finished = (out / SIDECAR).is_file()
    if finished and not resume:
        raise InputError(f"{out} exists already, a finished run; choose another --out or remove it")
    if out.exists() and not finished and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already; choose another --out or remove it")
    if partial.exists() and not partial.is_dir():
        raise InputError(f"{partial} is in the way; choose another --out or move it")
    if (partial / LOCK).is_file() and _is_held(partial / LOCK):
        raise InputError(BUSY.format(partial))
    if foreign := [name for name in foreign_names(partial) if not is_temporary(Path(name))]:
        raise InputError(f"{partial} is not an unfinished run: it holds {foreign[0]}; choose another --out or move it")
    if (partial / SIDECAR).is_file() and not (partial / STATE).is_file():
        raise InputError(f"{partial} is a finished run of its own; choose another --out or move it")
    if partial.exists() and not resume:
        raise InputError(f"an unfinished run is in {partial}; add --resume to go on with it, or remove it")


def is_temporary(path: Path) -> bool:
    """Whether a write that was killed has left it."""
    name = path.name[1:].rpartition(".")[0]
    return path.name.startswith(".") and (name in RUN_FILES or snapshot_epoch(f"{SNAPSHOTS}/{name}") is not None)


def foreign_names(directory: Path) -> list[str]:
    """What is in a run directory and no training has put there; what a killed write has left counts, too.

    Args:
        directory: may be missing.
    """
    if not directory.is_dir():
        return []
    paths = sorted(directory.iterdir())
    ours = [path for path in paths if path.name == SNAPSHOTS and path.is_dir() and not path.is_symlink()]
    found = [path.name for path in paths if path.name not in RUN_FILES and path not in ours]
    inside = [(f"{SNAPSHOTS}/{path.name}", path) for folder in ours for path in sorted(folder.iterdir())]
    return found + [name for name, path in inside if snapshot_epoch(name) is None or not path.is_file()]


def _is_held(path: Path) -> bool:
    """Whether another process has the lock; trying leaves it as it was."""
    lock = FileLock(path)
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True
