"""``eigensam train``: options and help; torch loads when it runs."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..ground.choices import with_choices
from ..ground.console import DataRoot, Device, Download, JsonFile, read_path
from ..ground.options import Only
from ..ground.settings_options import Chosen, Group, with_settings
from ..landscapes.runs.registries import DATA
from .base import BASES
from .rate import RATES
from .registry import OPTIMIZERS
from .settings import GROUPS, TrainSettings

__all__ = ["TrainCommand", "train_command"]


def _from_files(given: Any) -> bool:
    return given["data"] not in DATA or not DATA[given["data"]].built_in


_FILES = Only("data that are not built in", _from_files)

TrainCommand = with_choices(
    with_settings(
        {"data_root": _FILES, "download": _FILES},
        shared=TrainSettings,
        method=Chosen("optimizer", OPTIMIZERS),
        stepping=Chosen("base", BASES),
        rate=Chosen("schedule", RATES),
    ),
    **GROUPS,
)
"""Its options are the fields of a training's settings, and those of all optimizers, bases and schedules there are."""


def train_command(
    out: Annotated[
        Path, typer.Option(parser=read_path, metavar="FOLDER", help="The run directory to make; it must not exist.")
    ],
    shared: Group = None,
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="The method that trains; its own options are below.")
    ] = "eigen-sam",
    method: Group = None,
    base: Annotated[
        str, typer.Option(metavar="NAME", help="The torch optimizer that steps along the method's gradient.")
    ] = "sgd",
    stepping: Group = None,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="How the learning rate changes.")] = "cosine",
    rate: Group = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run, bit for bit as if it had not stopped.")
    ] = False,
    save_minutes: Annotated[
        float,
        typer.Option(
            metavar="MINUTES",
            help="Time from one save within an epoch to the next; 0 saves after every step, inf after epochs only.",
        ),
    ] = 10.0,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Train one network into a run directory: metrics.jsonl and a checkpoint."""
    from .run_training import Place, run_training  # torch loads when there is something to train, not for --help

    place = Place(out, device, data_root, download=download, resume=resume, save_minutes=save_minutes)
    run_training(replace(shared, optimizer=method, base=stepping, schedule=rate), place, json)
