"""What ``eigensam order-models`` does: check, train and measure what is missing, rank, print."""

import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ...ground.console import check_count, progress_bar
from ...ground.outputs import Folder, Outputs
from ...landscapes.runs.data import load_data
from .measures import MEASURES
from .model_runs import ModelRuns
from .order import order_models
from .settings import OrderSettings
from .words import TARGETS, describe

__all__ = ["run_order_models"]


def run_order_models(
    settings: OrderSettings,
    *,
    out: Path,
    jobs: int,
    dry_run: bool,
    data_root: Path | None,
    download: bool,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Rank measures by how they order models.

    Raises:
        InputError: outputs that cannot be written, data that are not there, models that do not train, too few that
            were fitted.
    """
    check_count("--jobs", jobs)
    outputs = Outputs(json, plot=plot, folders=[Folder("--out", out, {"runs", "records"})])
    data = load_data(settings.data, data_root, download=download)
    runs = ModelRuns(settings, data, out)
    if dry_run:
        _plan(outputs.console, runs, jobs)
        return
    total = len(settings.runs())
    with progress_bar("training and measuring", total) as (progress, task):
        records = runs.measure(jobs, lambda done, of: progress.update(task, completed=done))
    result = order_models(records, settings.to_dict())
    found = {**result.to_dict(), "words": describe(result.to_dict())}
    outputs.save(found, result.plot)
    _show(outputs.console, found)
    outputs.console.print(f"runs and records are in {out}", markup=False)
    outputs.say_written()


def _plan(console: Console, runs: ModelRuns, jobs: int) -> None:
    total, missing = len(runs.tasks()), runs.missing()
    for task in runs.tasks():
        console.print(task[3], markup=False)
    console.print(f"{total} models, {missing} of them are not there yet.")
    if missing:
        seconds = runs.first()
        minutes = seconds * (missing - 1) / jobs / 60
        console.print(f"The first took {seconds:.1f} s and is kept; the others need about {minutes:.1f} min.")


def _show(console: Console, found: dict[str, Any]) -> None:
    for target in ("gap", "held_out_error"):
        columns = "measure", "tau", "95 %", "p", "granul.", "given", "verdict"
        table = Table(*columns, title=TARGETS[target], box=None, padding=(0, 1, 0, 0))
        for each in found["rankings"]:
            if each["target"] == target:
                table.add_row(
                    each["name"],
                    f"{each['tau']:.2f}",
                    f"{each['lower']:.2f}, {each['upper']:.2f}",
                    f"{each['p_value']:.2g}",
                    "" if math.isnan(each["granulated"]) else f"{each['granulated']:.2f}",
                    f"{each['control']}: {each['partial']:.2f}",
                    each["verdict"],
                )
        console.print(table)
    console.print(", ".join(f"{name}: {each.meaning}" for name, each in MEASURES.items()), markup=False)
    for sentence in found["words"]:
        console.print(f"- {sentence}", markup=False)
