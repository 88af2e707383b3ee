"""What a command writes: checked together before any work, then written whole or not at all.

Refused is an output that could not be written in the end, that another output of the same command would overwrite, or
that the command reads. JSON is written before a picture, which can be drawn again from it.
"""

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console

from .errors import InputError
from .pictures import PICTURES, render
from .records import json_text, provenance, write_atomically
from .run_files import RUN_CONTENTS, SNAPSHOTS, snapshot_epoch

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

__all__ = ["Folder", "Outputs"]

_STANDARD_OUTPUT = Path("-")
_TEMPORARY = ".{}.12345678"  # as long as the name of the temporary file beside a file


@dataclass(frozen=True)
class Folder:
    """A folder that a command fills.

    Attributes:
        option: that names it.
        path: may be missing.
        contents: names in it that the command writes; None: all of it is the command's own.
    """

    option: str
    path: Path
    contents: Collection[str] | None = None


class Outputs:
    """The outputs of one command.

    Args:
        json: of the result; ``-`` is standard output, which then holds nothing else.
        plot: of a picture.
        files: further files, by option.
        pictures: further pictures, by option.
        folders: that the command fills.
        inputs: what the command reads, by option or argument.

    Raises:
        InputError: a file in whose place is a folder, a device or a pipe; a folder that is a file; a place where
            nothing can be written; a picture of unknown format; two outputs with one name, through links too; an
            output that is an input.

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.ground import read_json
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> outputs = Outputs(folder / "a.json")
        >>> outputs.save({"slope": 1.0})
        >>> sorted(read_json(folder / "a.json"))
        ['made_with', 'slope']
        >>> Outputs(folder / "a.svg", plot=folder / "." / "a.svg")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: --json and --plot are both ...; give two files
    """

    def __init__(
        self,
        json: Path | None,
        *,
        plot: Path | None = None,
        files: Mapping[str, Path | None] | None = None,
        pictures: Mapping[str, Path | None] | None = None,
        folders: Collection[Folder] = (),
        inputs: Mapping[str, Path | None] | None = None,
    ) -> None:
        self._to_stdout = json == _STANDARD_OUTPUT
        self._json = None if self._to_stdout else json
        if self._to_stdout and sys.stdout is None:
            raise InputError("--json - is standard output, which is closed; give a file")
        self._plot = plot
        self._files = {name: path for name, path in (files or {}).items() if path is not None}
        self._pictures = {name: path for name, path in (pictures or {}).items() if path is not None}
        self._written: list[Path] = []
        for name, path in {"--plot": plot, **self._pictures}.items():
            if path is not None and path.suffix not in PICTURES:
                endings = f"{', '.join(PICTURES[:-1])} or {PICTURES[-1]}"
                raise InputError(
                    f"{name} {path} is not one of: {', '.join(PICTURES)}; end its name in {endings}, such as order.png"
                )
        named = {"--json": self._json, "--plot": plot, **self._files, **self._pictures}
        whole = {name: _check_file(name, path) for name, path in named.items() if path is not None}
        for folder in folders:
            _check_folder(folder)
        _check_distinct(whole, folders, {name: path for name, path in (inputs or {}).items() if path is not None})

    @property
    def stream(self) -> TextIO:
        """Where text for a person goes: standard output, or standard error where JSON has taken the former."""
        return sys.stderr if self._to_stdout else sys.stdout

    @property
    def console(self) -> Console:
        """Tables and lines on :attr:`stream`."""
        return Console(file=self.stream, highlight=False, soft_wrap=True)

    def save(
        self,
        result: Mapping[str, Any],
        draw: "Callable[[], Figure] | None" = None,
        *,
        device: "torch.device | str" = "cpu",
        dtype: "torch.dtype | None" = None,
    ) -> None:
        """Write the JSON if it was asked for, with what it was made with, then the picture if it was."""
        if self._to_stdout or self._json is not None:
            text = json_text({**result, "made_with": provenance(device, dtype)})
            if self._json is not None:
                self._write(self._json, text.encode())
            else:
                sys.stdout.write(text)
                sys.stdout.flush()
        if self._plot is not None and draw is not None:
            self._write(self._plot, render(draw(), self._plot.suffix[1:]))

    def save_text(self, name: str, text: Callable[[], str]) -> None:
        """Write one of ``files`` if it was asked for."""
        if name in self._files:
            self._write(self._files[name], text().encode())

    def save_picture(self, name: str, draw: "Callable[[], Figure]") -> None:
        """Draw and write one of ``pictures`` if it was asked for."""
        if name in self._pictures:
            path = self._pictures[name]
            self._write(path, render(draw(), path.suffix[1:]))

    def say_written(self, console: Console | None = None) -> None:
        """Name the files that :meth:`save` and its companions have written."""
        for path in self._written:
            (console or self.console).print(f"wrote {path}", markup=False)

    def _write(self, path: Path, content: bytes) -> None:
        write_atomically(path, content)
        self._written.append(path)


def _check_file(name: str, path: Path) -> Path:
    """The file behind all links."""
    if path == _STANDARD_OUTPUT:
        raise InputError(f"{name} - is not standard output, as it is for --json; write ./- for a file of that name")
    try:
        whole = Path(os.path.realpath(path))
        _require_place(whole, folder=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot write {name} {path}: {_reason(error)}; give a regular file in a writable folder"
        ) from None
    if whole.name in RUN_CONTENTS or snapshot_epoch(f"{SNAPSHOTS}/{whole.name}") is not None:
        raise InputError(f"{name} {path} has the name of a file of a run directory; choose another name")
    return whole


def _check_folder(folder: Folder) -> None:
    if folder.path == _STANDARD_OUTPUT:
        raise InputError(f"{folder.option} - is not a folder; write ./- for a folder of that name")
    try:
        whole = Path(os.path.realpath(folder.path))
        if not whole.name:
            raise ValueError("it is the root of all folders")
        _require_place(whole, folder=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot write {folder.option} {folder.path}: {_reason(error)}; choose another {folder.option}"
        ) from None


def _require_place(path: Path, *, folder: bool) -> None:
    """Raise what writing there would raise in the end; nothing stays behind."""
    try:
        mode: int | None = path.lstat().st_mode  # links are resolved: what is still a link goes in circles
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    if mode is not None and not (stat.S_ISDIR if folder else stat.S_ISREG)(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a device, pipe or link"
        raise ValueError(f"it is {kind}")
    nearest = path if folder and mode is not None else next(parent for parent in path.parents if parent.exists())
    if not nearest.is_dir():
        raise ValueError(f"{nearest} is not a folder")
    for part in path.relative_to(nearest).parts:  # folders to be made: is each name short enough?
        (nearest / part).is_symlink()
    (nearest / _TEMPORARY.format(path.name)).is_symlink()
    with tempfile.TemporaryFile(dir=nearest):  # permissions do not tell all: root may write to a read-only disk, too
        pass


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _check_distinct(files: Mapping[str, Path], folders: Collection[Folder], inputs: Mapping[str, Path]) -> None:
    names = list(files)
    for i, name in enumerate(names):
        path = files[name]
        for other in names[i + 1 :]:
            if path == files[other]:
                raise InputError(f"{name} and {other} are both {path}; give two files")
            if path in files[other].parents or files[other] in path.parents:
                raise InputError(f"{name} {path} and {other} {files[other]}: a file cannot hold the other; give two")
        for folder in folders:
            whole = Path(os.path.realpath(folder.path))
            inside = path.relative_to(whole).parts if path.is_relative_to(whole) else None
            taken = inside is not None and (not inside or folder.contents is None or inside[0] in folder.contents)
            if taken or whole.is_relative_to(path):
                raise InputError(f"{name} {path} is in the way of {folder.option} {folder.path}; choose another file")
        for given, source in inputs.items():
            if path == Path(os.path.realpath(source)):
                raise InputError(f"{name} {path} would overwrite {given}; choose another file")
