"""``eigensam train``: options and help; torch loads when it runs."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..ground.choices import with_choices
from ..ground.console import DataRoot, Device, Download, JsonFile, PlotFile, check_count, read_path
from ..ground.options import Only, only_with
from ..ground.settings_options import Chosen, FromFile, Group, with_settings
from ..landscapes.runs.registries import DATA
from .base import BASES
from .rate import RATES
from .registry import OPTIMIZERS
from .training.seeds import parse_seeds
from .training.settings import GROUPS, TrainSettings

__all__ = ["TrainCommand", "train_command"]


def _from_files(given: Any) -> bool:
    return given["data"] not in DATA or not DATA[given["data"]].built_in


_FILES = Only("data that are not built in", _from_files)

_FETCHED = Only("data that are not built in, and --pretrained", lambda given: _from_files(given) or given["pretrained"])

_ONE_SEED = Only("a training without --seeds", lambda given: given["seeds"] is None)

TrainCommand = with_choices(
    with_settings(
        {
            "data_root": _FILES,
            "download": _FETCHED,
            "jobs": only_with("seeds"),
            "seed": _ONE_SEED,
            "plot": _ONE_SEED,
            "tensorboard": _ONE_SEED,
            "record_examples": only_with("record_every"),
        },
        FromFile("config", lambda text: TrainSettings.read_part(read_path(text))),
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
    config: Annotated[
        Path | None,
        typer.Option(
            parser=read_path,
            metavar="FILE",
            help="Settings in TOML or JSON, such as settings.json of a run; options that are given come first.",
        ),
    ] = None,
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
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="One run for each seed, 0,1,2 or 0-4, into FOLDER/seed-0 and so on, with one thread each; a config "
            "file's seed does not count.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Runs at a time; 0 is one for each core.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is not finished, bit for bit as if it had not stopped.")
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
    plot: PlotFile = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            parser=read_path,
            metavar="FOLDER",
            help="Also write curves for TensorBoard into this folder; needs pip install tensorboard.",
        ),
    ] = None,
) -> None:
    """Train one network into a run directory: metrics.jsonl and a checkpoint."""
    from .training.run_seeds import run_seeds
    from .training.run_training import (  # torch loads when there is something to train, not for --help
        Place,
        run_training,
    )

    place = Place(
        out,
        device,
        data_root,
        config,
        download=download,
        resume=resume,
        save_minutes=save_minutes,
        plot=plot,
        tensorboard=tensorboard,
    )
    settings = replace(shared, optimizer=method, base=stepping, schedule=rate)
    if seeds is None:
        run_training(settings, place, json)
        return
    check_count("--jobs", jobs, low=0)
    run_seeds(settings, parse_seeds(seeds), jobs or os.cpu_count() or 1, place, json)
