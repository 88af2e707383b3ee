"""``eigensam bound``: options and help; what it does is imported when it runs."""

from typing import Annotated

import typer

from ..ground.choices import with_choices
from ..ground.console import DataRoot, Device, Download, JsonFile, PlotFile, RunFolder
from ..ground.settings_options import Chosen, Group, with_settings
from .registry import BOUNDS

__all__ = ["BoundCommand", "bound"]

BoundCommand = with_choices(with_settings({}, settings=Chosen("kind", BOUNDS)), kind=BOUNDS)
"""The options of ``bound`` are the fields of the chosen bound's settings."""

ALL_BOUNDS = "eigensam.bounds.families"
"""The command depends on the code of all bounds: a text that tells :class:`SourceCode` so (see ``registry.py``)."""


def bound(
    run: RunFolder,
    kind: Annotated[str, typer.Option(help="Which bound.", metavar="NAME")] = "theorem-4.1",
    settings: Group = None,
    epoch: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCH",
            help="Of the network after this epoch, which 'eigensam train --snapshot-every' has kept; 0 is the "
            "initialisation. By default of the trained one.",
        ),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
) -> None:
    """Theorem 4.1 at a trained point: every term and form, what the loss really does, and what it says in words."""
    from .run_bound import run_bound  # torch loads when a bound is computed, not for --help

    run_bound(run, settings, data_root=data_root, download=download, device=device, epoch=epoch, json=json, plot=plot)
