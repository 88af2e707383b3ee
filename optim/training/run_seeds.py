"""What ``eigensam train --seeds`` does: a training for each seed, a table of their means."""

from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from ...ground.console import progress_bar
from ...ground.device import find_device
from ...ground.errors import InputError
from ...ground.intervals import Interval
from ...ground.outputs import Folder, Outputs
from ...ground.run_files import RUN_CONTENTS
from ...landscapes.runs.data import load_data
from .first_network import check_pretrained
from .run_directory import unfinished
from .run_training import Place, check_asked, downloads_data
from .seed_runs import SeedRuns
from .settings import TrainSettings
from .torchrun import joined, processes_here

__all__ = ["run_seeds"]


def run_seeds(settings: TrainSettings, seeds: tuple[int, ...], jobs: int, place: Place, json: Path | None) -> None:
    """Train one network for each seed, print a table, and write JSON if that is asked for.

    Raises:
        InputError: several processes of torchrun; a place that cannot be written, runs with other settings, a training
            that cannot go on.
    """
    check_asked(settings, place)
    if processes_here() > 1:
        with joined(place.device):
            raise InputError(
                "--seeds gives every run a process of its own, --jobs at a time; start it without torchrun"
            )
    runs = SeedRuns(settings, seeds, place.out)
    paths = list(runs.directories.values())
    folders = [Folder("--out", place.out, [path.name for path in paths])]
    folders += [Folder("--out", path, RUN_CONTENTS) for path in paths]
    folders += [Folder("--out", unfinished(path)) for path in paths]
    outputs = Outputs(json, folders=folders, inputs={"--config": place.config})
    target = find_device(place.device)
    # Once, where it may be fetched.
    load_data(settings.data, place.data_root, download=downloads_data(settings, place))
    missing = runs.missing(place.data_root, resume=place.resume)
    if missing:
        check_pretrained(settings, download=place.download)
    console = outputs.console
    what = f"{settings.model} on {settings.data} with {settings.method.name}"
    there = f", {len(paths) - len(missing)} of them there already" if len(missing) < len(paths) else ""
    console.print(f"training {what} into {place.out} ({target}), {len(paths)} seeds{there}", markup=False)
    with progress_bar("seeds", len(paths)) as (progress, task):
        progress.update(task, completed=len(paths) - len(missing))
        for _ in runs.train(
            str(target), place.data_root, jobs=jobs, resume=place.resume, save_minutes=place.save_minutes
        ):
            progress.advance(task)
    summary = runs.summary()
    result = {
        "settings": {name: value for name, value in settings.to_dict().items() if name != "seed"},
        "runs": [
            {"seed": run.checkpoint.seed, "run": str(run.directory), "metrics": run.metrics} for run in runs.runs()
        ],
        "summary": {name: _as_json(interval) for name, interval in summary.items()},
    }
    outputs.save(result, device=target, dtype=torch.float32)
    console.print(_table(summary, len(seeds)))
    console.print(f"wrote {place.out}", markup=False)
    outputs.say_written()


def _as_json(interval: Interval) -> dict[str, Any]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _table(summary: dict[str, Interval], count: int) -> Table:
    table = Table(
        title=f"networks as they are kept, mean of {count} seed{'s' if count > 1 else ''} and its 95 % interval"
    )
    for name in ("metric", "mean", "low", "high"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for name, interval in summary.items():
        numbers = (interval.mean, interval.low, interval.high)
        table.add_row(name, *(f"{value:.5g}" if value == value else "-" for value in numbers))
    return table
