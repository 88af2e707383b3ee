"""``eigensam figures`` and ``eigensam order-table``: options and help; what they do is imported when they run."""

from pathlib import Path
from typing import Annotated

import typer

from ..ground.console import DataRoot, Device, Download, JsonFile, read_path

__all__ = ["figures", "order_table"]


def figures(
    preset: Annotated[
        str, typer.Option(help="Which figures and tables are made, at which size.", metavar="PRESET")
    ] = "quick",
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure and report this figure or table only; may be repeated.", metavar="NAME"),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            parser=read_path,
            metavar="FOLDER",
            help="Folder for results, pictures and the report; results for the same code and settings are used again.",
        ),
    ] = Path("out"),
    jobs: Annotated[int, typer.Option(help="Trainings at a time, each with one thread; 0 is one per core.")] = 0,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Measure, plot and report: weak order, Figures 1 and 2, the terms of Theorem 4.1, or what --only names."""
    from .resources import Resources
    from .run_figures import run_figures  # torch and matplotlib load when they are needed, not for --help

    run_figures(preset, only or [], Resources(out, jobs, device, data_root, download), json)


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
