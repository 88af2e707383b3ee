"""``eigensam assumptions``: options and help; what it does is imported when it runs."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from ...ground.console import DataRoot, Device, Download, JsonFile, PlotFile, read_path
from ...ground.options import Only
from ...ground.settings_options import Group, with_settings
from .settings import AssumptionSettings

__all__ = ["AssumptionsCommand", "assumptions"]


def _of_run(given: Mapping[str, Any]) -> bool:
    return given["run"] is not None


_RUN = Only("a RUN, where no --example is given", _of_run)

AssumptionsCommand = with_settings(
    {
        **dict.fromkeys((each.name for each in fields(AssumptionSettings)), _RUN),
        **dict.fromkeys(("data_root", "download", "device"), _RUN),
        "example": Only("a command without RUN", lambda given: not _of_run(given)),
    },
    settings=AssumptionSettings,
)
"""Its options are the fields of the settings."""


def assumptions(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", parser=read_path, help="Run directory that 'eigensam train' has made."),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A loss in closed form instead: tilted-torus, stiff-torus, probit-regression satisfy all assumptions; "
            "wrong-... fail at one each; 'all' lists them.",
        ),
    ] = None,
    settings: Group = None,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
) -> None:
    """Which assumptions of Theorems 4.1 and 4.2 and Corollary 4.2.1 hold, fail, or cannot be decided."""
    from .run_assumptions import run_assumptions, run_example  # torch loads when it is needed, not for --help

    if run is None:
        run_example(example, json=json, plot=plot)
    else:
        run_assumptions(run, settings, (data_root, download), device=device, json=json, plot=plot)
