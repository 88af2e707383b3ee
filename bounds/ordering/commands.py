"""``eigensam order-models``: options and help; what it does is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from ...ground.console import DataRoot, Download, JsonFile, PlotFile, read_path
from ...ground.settings_options import Group, with_settings
from .settings import OrderSettings

__all__ = ["OrderModelsCommand", "order_models_command"]

OrderModelsCommand = with_settings({}, settings=OrderSettings)
"""The options are the fields of the settings."""


def order_models_command(
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", parser=read_path, help="Folder of runs and records; a second call goes on."),
    ],
    settings: Group = None,
    jobs: Annotated[int, typer.Option(help="Processes of one thread each.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the models, train the first one, and say what the others need.")
    ] = False,
    data_root: DataRoot = None,
    download: Download = False,
    json: JsonFile = None,
    plot: PlotFile = None,
) -> None:
    """Train models over a grid and ask which bounds and measures of flatness order them by how they generalise.

    Each rank correlation comes with its interval over configurations and with the control that would explain it away.
    """
    from .run_order_models import run_order_models  # torch loads when something is trained, not for --help

    run_order_models(
        settings,
        out=out,
        jobs=jobs,
        dry_run=dry_run,
        data_root=data_root,
        download=download,
        json=json,
        plot=plot,
    )
