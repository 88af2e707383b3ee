"""Networks along a training, kept on disk: written after their epochs, and those of a restored state."""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from torch import nn

from ...ground.errors import InputError
from ...ground.input_file import read_input
from ...ground.records import write_atomically
from ...ground.run_files import SNAPSHOTS, snapshot_epoch, snapshot_name
from ...landscapes.networks.whole_state import whole_state
from ...landscapes.tensor_files import save_tensors
from .run_directory import is_temporary

__all__ = ["remove_snapshots", "restore_snapshots", "write_snapshot"]


def write_snapshot(directory: Path, epoch: int, model: nn.Module) -> dict[str, str]:
    """Write the whole state of a network after an epoch.

    Args:
        directory: of the run, while it is not finished.
        epoch: that is finished, from 1.
        model: as it is then.

    Returns:
        The file's SHA-256 by its name.

    Raises:
        InputError: it cannot be written.
    """
    name = snapshot_name(epoch)
    save_tensors(directory / name, whole_state(model))
    return {name: hashlib.sha256(read_input(directory / name)).hexdigest()}


def restore_snapshots(directory: Path, source: Path, digests: Mapping[str, str]) -> None:
    """Leave the snapshots of a restored state in a directory, and no others: those of later epochs are written again.

    Args:
        directory: of the run, while it is not finished.
        source: where the state lay: there, or in a finished run that goes on to more epochs, and stays whole.
        digests: of the state.

    Raises:
        InputError: one is missing, or not the one that was written.
    """
    remove_snapshots(directory, but=digests)
    for name, digest in digests.items():
        content = read_input(source / name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise InputError(
                f"{source / name} is not the file that the training has written; restore it from a copy, or train anew "
                "elsewhere"
            )
        if source != directory:
            write_atomically(directory / name, content)


def remove_snapshots(directory: Path, but: Collection[str] = ()) -> None:
    """Remove snapshots from a run directory, and what a killed write has left; other things stay.

    Args:
        directory: of the run, while it is not finished.
        but: names of those that stay.
    """
    folder = directory / SNAPSHOTS
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        name = f"{SNAPSHOTS}/{path.name}"
        if is_temporary(path) or (snapshot_epoch(name) is not None and name not in but):
            path.unlink()
    with suppress(OSError):  # some are left
        folder.rmdir()
