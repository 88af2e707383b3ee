"""What every command shares: types of options, paths and fractions as text, progress on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .errors import InputError
from .exact_numbers import exact_number

__all__ = [
    "DataRoot",
    "Device",
    "Download",
    "JsonFile",
    "PlotFile",
    "RunFolder",
    "check_count",
    "parse_number",
    "progress_bar",
    "read_path",
]

_progress_console = Console(stderr=True)


def read_path(text: str | Path) -> Path:
    """A path as it was typed; empty text is not the folder that one stands in, and ``a/`` is no file ``a``.

    Raises:
        typer.BadParameter: empty text, or a null character.

    Example:
        >>> read_path("./a") == Path("a")
        True
    """
    if not str(text).strip() or "\0" in str(text):
        raise typer.BadParameter(f"{str(text)!r} is not a path; give a name, or leave the option out")
    return Path(text)


def read_file_path(text: str | Path) -> Path:
    """As :func:`read_path`, of a file.

    Raises:
        typer.BadParameter: the text ends in a slash, as of a folder.
    """
    if str(text).endswith("/"):
        raise typer.BadParameter(f"{text} is a folder; give a file")
    return read_path(text)


JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        parser=read_file_path,
        help="Also write the result as JSON into this file; - is standard output.",
    ),
]
PlotFile = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", parser=read_file_path, help="Also draw the result, into a .svg, .pdf or .png file."
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", parser=read_path, help="Run directory that 'eigensam train' has made.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", parser=read_path, help="Folder with the data, in torchvision's layout; digits need none."
    ),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch or unpack under --data-root what is missing there.")]
Device = Annotated[
    str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps; auto is the accelerator if there is one.")
]


def check_count(name: str, value: int, low: int = 1) -> None:
    """Refuse a count or seed outside ``[low, 2^31)``."""
    if not low <= value < 2**31:
        raise InputError(f"{name} {value} is out of range; give a number from {low} to {2**31 - 1}")


def parse_number(name: str, text: str) -> Fraction:
    """A number such as ``1/3``, ``0.5`` or ``1e-3``, of a size that a float can hold.

    Raises:
        InputError: anything else.

    Example:
        >>> parse_number("--rho-exponent", "1/3")
        Fraction(1, 3)
    """
    try:
        return exact_number(text)
    except InputError:
        raise InputError(f"{name} '{text}' is not a number; give e.g. 1/3 or 0.5") from None


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on stderr with counts, elapsed and remaining time; yields (progress, task)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_progress_console) as progress:
        yield progress, progress.add_task(description, total=total)
