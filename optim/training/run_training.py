"""What ``eigensam train`` does: check, train with a progress bar, say what came out."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...ground.console import progress_bar
from ...ground.errors import InputError
from ...ground.outputs import Folder, Outputs
from ...ground.run_files import RUN_CONTENTS, SIDECAR
from ...landscapes.runs.data import load_data
from ...landscapes.runs.registries import DATA, OWN
from ...landscapes.runs.run import Run
from .first_network import check_pretrained
from .ranks import Ranks
from .run_directory import check_run, unfinished
from .settings import TrainSettings
from .torchrun import joined, restarted
from .train import train
from .training_log import TrainingLog

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Place", "check_asked", "downloads_data", "run_training"]


@dataclass(frozen=True)
class Place:
    """Where a training runs, reads and writes.

    Attributes:
        out: run directory to make.
        device: by name.
        data_root: folder of data that are not built in.
        config: file that the settings came from, in part.
        download: whether what is missing may be fetched there.
        resume: whether an unfinished run goes on.
        save_minutes: from one save within an epoch to the next.
        plot: file of a picture.
        tensorboard: folder for TensorBoard.
    """

    out: Path
    device: str
    data_root: Path | None
    config: Path | None
    download: bool
    resume: bool
    save_minutes: float = 10.0
    plot: Path | None = None
    tensorboard: Path | None = None


def check_asked(settings: TrainSettings, place: Place) -> None:
    """Refuse a network or data of one's own, which a command cannot get, and times that are none.

    Raises:
        InputError: which it is, and the repair.
    """
    if not place.save_minutes >= 0:
        raise InputError(f"--save-minutes {place.save_minutes} must be at least 0 (after every step); inf is never")
    for name, value in (("model", settings.model), ("data", settings.data)):
        if value == OWN:
            raise InputError(f"--{name} {OWN} is for Python: train(settings, data, out, model=network); choose a name")


def downloads_data(settings: TrainSettings, place: Place) -> bool:
    """Whether data may be fetched: ``--download`` may be there for the weights alone."""
    return place.download and not (settings.pretrained and DATA[settings.data].built_in)


def run_training(settings: TrainSettings, place: Place, json: Path | None) -> None:
    """Train, print, draw, and write JSON if that is asked for; with ``torchrun``, in all of its processes.

    Raises:
        InputError: a place that cannot be written, TensorBoard that is not installed, data or pretrained weights that
            are not there, a loss that is not finite.
    """
    check_asked(settings, place)
    with joined(place.device) as (ranks, device):
        if restarted() and not place.resume:
            ranks.on_first(lambda: _check_restart(settings, place.out))
            place = replace(place, resume=True)
        _train(settings, place, json, device, ranks)


def _check_restart(settings: TrainSettings, out: Path) -> None:
    """Of a finished run only what an earlier attempt may have made goes on; it was refused then, and is again."""
    if (out / SIDECAR).is_file() and Run(out).settings != settings.to_dict():
        check_run(out)


def _train(settings: TrainSettings, place: Place, json: Path | None, device: torch.device, ranks: Ranks) -> None:
    out = place.out
    folders = [Folder("--out", out, RUN_CONTENTS), Folder("--out", unfinished(out))]
    if place.tensorboard is not None:
        folders.append(Folder("--tensorboard", place.tensorboard))
    outputs = Outputs(json, plot=place.plot, folders=folders, inputs={"--config": place.config})
    ranks.on_first(lambda: check_run(out, resume=place.resume))
    log = _log(place)
    alone, download = ranks.count == 1, downloads_data(settings, place)
    if not (out / SIDECAR).is_file():  # a finished run needs no weights but its own
        ranks.on_first(lambda: check_pretrained(settings, download=place.download))
    if download and not alone:  # once for all
        ranks.on_first(lambda: load_data(settings.data, place.data_root, download=True).name)
    data = load_data(settings.data, place.data_root, download=download and alone)
    finished = ranks.on_first(
        lambda: place.resume and (out / SIDECAR).is_file() and Run(out).settings == settings.to_dict()
    )
    what = f"{settings.model} on {settings.data} with {settings.method.name}"
    by = f"{device}" if alone else f"{ranks.count} processes, {device.type}"
    if ranks.first:
        begins = f"{out} is finished already" if finished else f"training {what} into {out} ({by})"
        outputs.console.print(begins, markup=False)
    with _progress(log, show=ranks.first):
        run = train(
            settings, data, out, device=device, resume=place.resume, save_minutes=place.save_minutes, progress=log
        )
    if not ranks.first:
        return
    result: dict[str, Any] = {"run": str(out), "settings": settings.to_dict(), "metrics": run.metrics}
    result["kept_epoch"] = run.checkpoint.kept_epoch
    if settings.record_every:
        result["curvature"] = {"rows": run.curvature, **_cost(run)}
    if settings.snapshot_every:
        result["snapshots"] = run.snapshots
    outputs.save(result, partial(_draw, run), device=device, dtype=torch.float32)
    last, console = run.kept, outputs.console
    if (kept := run.checkpoint.kept_epoch) < len(run.metrics):
        console.print(
            f"stopped after epoch {len(run.metrics)}; the weights are those of epoch {kept}, as is what follows"
        )
    loss = "of no step" if last["train_loss"] is None else f"{last['train_loss']:.4f}"
    console.print(
        f"finished: train loss {loss}, test loss {last['test_loss']:.4f}, test accuracy {last['test_accuracy']:.2%}"
    )
    if settings.record_every:
        cost = _cost(run)
        console.print(
            f"curvature was measured {cost['times']} times: {cost['seconds']:.3g} s, {cost['share']:.0%} of the time "
            "of the steps"
        )
    if settings.snapshot_every:
        console.print(f"snapshots of the network: {len(run.snapshots)}")
    if not finished:
        console.print(f"wrote {out}", markup=False)
    outputs.say_written()
    if place.tensorboard is not None and not finished:
        console.print(f"look at it: tensorboard --logdir {place.tensorboard}", markup=False)


@contextmanager
def _progress(log: TrainingLog, *, show: bool) -> Iterator[None]:
    if not show:
        yield
        return
    with progress_bar("steps") as (progress, task):

        def tell(done: int, total: int, latest: dict[str, Any]) -> None:
            accuracy = f", test accuracy {latest['test_accuracy']:.1%}" if "test_accuracy" in latest else ""
            progress.update(task, completed=done, total=total, description=f"loss {latest['loss']:.4f}{accuracy}")

        log.progress = tell
        yield


def _log(place: Place) -> TrainingLog:
    if place.tensorboard is None:
        return TrainingLog()
    whole, out = (Path(os.path.realpath(path)) for path in (place.tensorboard, place.out))
    if any(whole.is_relative_to(folder) for folder in (out, unfinished(out))):
        raise InputError(
            f"--tensorboard {place.tensorboard} is in the run directory, which holds nothing else; choose "
            "another folder"
        )
    from .tensorboard_log import TensorBoardLog  # only here: few have it

    return TensorBoardLog(place.tensorboard, resume=place.resume)


def _cost(run: Run) -> dict[str, float]:
    """How often curvature was measured, how long that took, and its share of the time that the steps took."""
    seconds, steps = (sum(row[name] for row in run.metrics) for name in ("curvature_seconds", "seconds"))
    return {"times": len(run.curvature), "seconds": seconds, "share": seconds / steps if steps else math.nan}


def _draw(run: Run) -> "Figure":
    from .training_picture import draw_training  # matplotlib loads when there is something to draw

    return draw_training(run.metrics, run.curvature)
