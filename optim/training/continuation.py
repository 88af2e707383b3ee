"""Whether a training may go on from an earlier one: with the same settings, or with more epochs."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...ground.errors import InputError
from ...ground.run_files import FROZEN, SIDECAR, STATE
from ...landscapes.runs.checkpoint import Checkpoint
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from .identity import network_fingerprint
from .run_directory import foreign_names
from .settings import UNWRITTEN, TrainSettings

__all__ = ["check_continues", "finished_run", "put_in_place"]


def check_continues(theirs: Mapping[str, Any], settings: TrainSettings, what: str) -> None:
    """Refuse to go on with other settings; more epochs are allowed where the schedule is extendable.

    Args:
        theirs: settings of the earlier training, as JSON holds them.
        settings: of this one.
        what: the earlier one, in words.

    Raises:
        InputError: the difference.

    Example:
        >>> before = TrainSettings(schedule="constant", epochs=5)
        >>> check_continues(before.to_dict(), TrainSettings(schedule="constant", epochs=9), "the run")
    """
    earlier = {**UNWRITTEN, **theirs}
    for name, value in {**UNWRITTEN, **settings.to_dict()}.items():
        found = earlier.get(name)
        if found == value:
            continue
        more = name == "epochs" and isinstance(found, int) and found < value
        if more and settings.rate.extendable:
            continue
        reason = f" (under the schedule '{settings.rate.name}' more epochs change the first ones, too)" if more else ""
        raise InputError(
            f"{what} has {name} = {found}, this command {value}{reason}; repeat the first command's settings, or "
            "choose another --out"
        )


def finished_run(out: Path, settings: TrainSettings, data: DataSet, model: nn.Module | None = None) -> Run | None:
    """The run that is there, if it is the one that the settings describe; None if it can go on to more epochs.

    Args:
        out: of a finished run.
        settings: that are wanted.
        data: whole, as for :func:`train`.
        model: as for :func:`train`.

    Raises:
        InputError: other settings or examples; more epochs, but no training state, or something that would be lost.
    """
    run = Run(out, model)
    check_continues(run.settings, settings, f"{out} is a finished run, which")
    run.training_part(data)
    if model is not None and run.checkpoint.network_sha256 != network_fingerprint(model):
        raise InputError(
            f"{out} is a finished run of a network with another structure or other first parameters; give the one that "
            "it began with, made anew, not one that has been trained since; or choose another --out"
        )
    if run.settings.get("epochs") == settings.epochs:
        if model is not None:  # it is what the training has made of it
            run.checkpoint.load(out, model)
        return run
    if not (out / STATE).is_file():
        raise InputError(f"{out} cannot go on to more epochs: its {STATE} has been removed; train anew elsewhere")
    _check_replaceable(out)
    return None


def put_in_place(partial: Path, out: Path, earlier: bytes | None = None) -> None:
    """Rename a finished training to where it is wanted, in place of one of fewer epochs.

    A kill leaves one of the two whole: the earlier one is moved aside first, and removed last.

    Args:
        partial: of the finished training.
        out: where it is wanted; nothing, or the earlier run.
        earlier: sidecar of the run that it has grown from; no other one is replaced.

    Raises:
        InputError: it cannot be renamed; another run has come to be there, or something that would be lost.
    """
    aside = _aside(out)
    try:
        if earlier is not None and (out / SIDECAR).is_file():
            if (out / SIDECAR).read_bytes() != earlier:
                raise InputError(f"{out} is no longer the run that it has grown from; move either of them")
            _check_replaceable(out)  # the training has taken its time, in which anything was put there
            if aside.exists():
                _remove(aside)
            out.replace(aside)
        partial.replace(out)
    except InputError as error:
        raise InputError(f"the finished run stays in {partial}: {error}") from None
    except OSError as error:
        raise InputError(f"the finished run stays in {partial}: cannot rename it to {out} ({error.strerror})") from None
    if _is_earlier(aside, out):
        _remove(aside)


def _remove(aside: Path) -> None:
    """Its sidecar goes last: what a kill leaves is known as an earlier run, or empty."""
    for path in sorted(aside.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != SIDECAR:
            path.unlink()
    (aside / SIDECAR).unlink(missing_ok=True)
    aside.rmdir()


def _aside(out: Path) -> Path:
    whole = Path(os.path.realpath(out))
    return whole.with_name(f".{whole.name}.before")


def _check_replaceable(out: Path) -> None:
    """Refuse to put a longer run in the place of one that is more than its files.

    Raises:
        InputError: what would be lost.
    """
    if (out / FROZEN).is_file():
        raise InputError(
            f"{out} cannot go on to more epochs: 'eigensam certify' has written down in {FROZEN} what it depends on; "
            "train anew elsewhere"
        )
    if foreign := foreign_names(out):
        raise InputError(f"{out} also holds {foreign[0]}, which a longer training in its place would remove; move it")
    if os.path.lexists(aside := _aside(out)) and not _is_earlier(aside, out):
        raise InputError(f"{aside} is in the way, where the earlier run is kept for a moment; move it")


def _is_earlier(aside: Path, out: Path) -> bool:
    """Whether it is a run of fewer epochs of the same training, and nothing else that somebody may want to keep."""
    if aside.is_dir() and not aside.is_symlink() and not any(aside.iterdir()):
        return True
    if aside.is_symlink() or (aside / FROZEN).exists() or not (aside / SIDECAR).is_file() or foreign_names(aside):
        return False
    try:
        earlier, later = (Checkpoint.read(each) for each in (aside, out))
    except InputError:
        return False
    same = (earlier.data_sha256, earlier.network_sha256) == (later.data_sha256, later.network_sha256)
    return (
        same and earlier.epochs <= later.epochs and {**earlier.settings, "epochs": 0} == {**later.settings, "epochs": 0}
    )
