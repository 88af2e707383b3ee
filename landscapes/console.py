"""What every command shares: fractions as numbers, the JSON file, tables on stdout, progress on stderr."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import torch
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

from .checkpoint import RUN_FILES
from .errors import InputError
from .exact_numbers import exact_number
from .records import provenance, write_json

__all__ = [
    "DataRoot",
    "Device",
    "Download",
    "JsonFile",
    "check_count",
    "check_json",
    "check_writable",
    "console",
    "find_device",
    "parse_number",
    "progress_bar",
    "save_json",
]

console = Console(highlight=False, soft_wrap=True)
_progress_console = Console(stderr=True)

JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the result as JSON.")]
DataRoot = Annotated[
    Path | None, typer.Option(help="Folder with data in torchvision's layout (not needed for digits).")
]
Download = Annotated[bool, typer.Option("--download", help="Fetch or unpack missing data under --data-root.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, ...")]


def check_json(path: Path | None) -> None:
    """Refuse a JSON path that cannot be written, before any work is done."""
    if path is None:
        return
    check_writable("--json", path)


def check_writable(name: str, path: Path) -> None:
    """Refuse a file that could not be written in the end."""
    path = Path(os.path.realpath(path))
    parent = next(folder for folder in path.parents if folder.exists())
    if (path.exists() and not path.is_file()) or not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(f"cannot write {name} {path}; give a regular file in a writable folder")
    if path.name in RUN_FILES:
        raise InputError(f"{name} {path} has the name of a file of a run directory; choose another name")


def check_count(name: str, value: int, low: int = 1) -> None:
    """Refuse a count or seed outside ``[low, 2^31)``."""
    if not low <= value < 2**31:
        raise InputError(f"{name} {value} is out of range; give a number from {low} to {2**31 - 1}")


def save_json(
    path: Path | None,
    value: Mapping[str, Any],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> None:
    """Write the result where it was asked for, with what it was made with, and say so."""
    if path is not None:
        write_json(path, {**value, "made_with": provenance(device, dtype)})
        console.print(f"wrote {path}", markup=False)


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


def find_device(name: str) -> torch.device:
    """``auto`` is the accelerator where there is one, else the CPU.

    Raises:
        InputError: torch does not know the device or does not have it.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # "meta" has no values
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"no usable device '{name}' on this machine; use --device auto or cpu") from None
    return device


@contextmanager
def progress_bar(description: str, total: int | None = None) -> Iterator[tuple[Progress, Any]]:
    """A progress bar on stderr with counts, elapsed and remaining time; yields (progress, task)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=_progress_console) as progress:
        yield progress, progress.add_task(description, total=total)
