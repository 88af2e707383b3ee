"""``eigensam figures`` and ``eigensam order-table``: options and help; what they do is imported when they run."""

from pathlib import Path
from typing import Annotated

import typer

from ..ground.console import DataRoot, Device, Download, JsonFile, read_path
from ..ground.errors import InputError

__all__ = ["figures", "order_table"]


def figures(
    items: Annotated[
        list[str] | None,
        typer.Argument(help="Figures and tables by name; without any, all of the preset.", metavar="[ITEM]..."),
    ] = None,
    preset: Annotated[str, typer.Option(help="At which size: quick, laptop or paper.", metavar="PRESET")] = "quick",
    out: Annotated[
        Path,
        typer.Option(
            parser=read_path,
            metavar="FOLDER",
            help="Folder for results, pictures and the report; results for the same code and settings are used again.",
        ),
    ] = Path("out"),
    seeds: Annotated[
        int, typer.Option(help="Seeds of everything that has some; 0 is the preset's own number (5, mostly).")
    ] = 0,
    jobs: Annotated[
        int,
        typer.Option(help="Trainings at a time, each with one thread; 0 is one per core, and one on an accelerator."),
    ] = 0,
    list_: Annotated[bool, typer.Option("--list", help="Only list the items, with the time that each took.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only list the trainings, which of them are there, and an estimate of what they take."
        ),
    ] = False,
    from_json: Annotated[
        bool, typer.Option("--from-json", help="Only plot and report results that are in the folder, edited or not.")
    ] = False,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Measure, plot and report: every figure and table of the paper, and what belongs beside them.

    Exit code 1 if an item failed: the report names it, and has all others.
    """
    from .resources import Resources
    from .run_figures import Request, run_figures  # torch and matplotlib load when they are needed, not for --help

    chosen = [name for name, on in (("list", list_), ("dry-run", dry_run), ("from-json", from_json)) if on]
    if len(chosen) > 1:
        raise InputError(f"--{' and --'.join(chosen)} exclude one another; give one of them")
    request = Request(preset, items or [], seeds, chosen[0] if chosen else "measure")
    if not run_figures(request, Resources(out, jobs, device, data_root, download), json):
        raise typer.Exit(1)


def order_table(
    out: Annotated[
        Path,
        typer.Option(
            parser=read_path, metavar="FOLDER", help="Folder for results, pictures and the page of the table."
        ),
    ] = Path("out"),
    json: JsonFile = None,
) -> None:
    """Predict and measure the weak order of every rule, exponent and truncation; ablations; critical points.

    Exit code 1 if a measured order is not the predicted one.
    """
    from .run_order_table import run_order_table  # as above

    if not run_order_table(out, json):
        raise typer.Exit(1)
