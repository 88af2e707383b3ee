"""What ``eigensam train`` does: check, train with a progress bar, say what came out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..ground.console import progress_bar
from ..ground.errors import InputError
from ..ground.outputs import Folder, Outputs
from ..ground.run_files import RUN_FILES, SIDECAR
from ..landscapes.runs.data import load_data
from ..landscapes.runs.registries import OWN
from ..landscapes.runs.run import Run
from .ranks import Ranks
from .run_directory import check_run, unfinished
from .settings import TrainSettings
from .torchrun import joined, restarted
from .training import train

__all__ = ["Place", "run_training"]


@dataclass(frozen=True)
class Place:
    """Where a training runs, reads and writes.

    Attributes:
        out: run directory to make.
        device: by name.
        data_root: folder of data that are not built in.
        download: whether what is missing may be fetched there.
        resume: whether an unfinished run goes on.
        save_minutes: from one save within an epoch to the next.
    """

    out: Path
    device: str
    data_root: Path | None
    download: bool
    resume: bool
    save_minutes: float = 10.0


def run_training(settings: TrainSettings, place: Place, json: Path | None) -> None:
    """Train, print, and write JSON if that is asked for.

    Raises:
        InputError: a place that cannot be written, data that are not there, a loss that is not finite.
    """
    for name, value in (("model", settings.model), ("data", settings.data)):
        if value == OWN:
            raise InputError(f"--{name} {OWN} is for Python: train(settings, data, out, model=network); choose a name")
    if not place.save_minutes >= 0:
        raise InputError(f"--save-minutes {place.save_minutes} must be at least 0 (after every step); inf is never")
    with joined(place.device) as (ranks, device):
        if restarted():
            place = replace(place, resume=True)
        _train(settings, place, json, device, ranks)


def _train(settings: TrainSettings, place: Place, json: Path | None, device: torch.device, ranks: Ranks) -> None:
    out = place.out
    outputs = Outputs(json, folders=[Folder("--out", out, RUN_FILES), Folder("--out", unfinished(out))])
    if restarted() and (out / SIDECAR).is_file():  # a process was lost when all had been written
        run = _finished(out, settings)
    else:
        ranks.on_first(lambda: check_run(out, resume=place.resume))
        alone = ranks.count == 1
        if place.download and not alone:  # once for all
            ranks.on_first(lambda: load_data(settings.data, place.data_root, download=True).name)
        data = load_data(settings.data, place.data_root, download=place.download and alone)
        if ranks.first:
            what = f"{settings.model} on {settings.data} with {settings.method.name}"
            by = f"{device}" if ranks.count == 1 else f"{ranks.count} processes, {device.type}"
            outputs.console.print(f"training {what} into {out} ({by})", markup=False)
        with _progress() if ranks.first else nullcontext(_nothing) as show:
            run = train(
                settings,
                data,
                out,
                device=device,
                resume=place.resume,
                save_minutes=place.save_minutes,
                progress=show,
            )
    if not ranks.first:
        return
    result = {"run": str(out), "settings": settings.to_dict(), "metrics": run.metrics}
    outputs.save(result, device=device, dtype=torch.float32)
    last, console = run.metrics[-1], outputs.console
    console.print(
        f"finished: train loss {last['train_loss']:.4f}, test loss {last['test_loss']:.4f}, "
        f"test accuracy {last['test_accuracy']:.2%}"
    )
    console.print(f"wrote {out}", markup=False)
    outputs.say_written()


def _nothing(done: int, total: int, latest: dict[str, Any]) -> None:
    pass


@contextmanager
def _progress() -> Iterator[Callable[[int, int, dict[str, Any]], None]]:
    with progress_bar("steps") as (progress, task):

        def show(done: int, total: int, latest: dict[str, Any]) -> None:
            accuracy = f", test accuracy {latest['test_accuracy']:.1%}" if "test_accuracy" in latest else ""
            progress.update(task, completed=done, total=total, description=f"loss {latest['loss']:.4f}{accuracy}")

        yield show


def _finished(out: Path, settings: TrainSettings) -> Run:
    run = Run(out)
    if run.checkpoint.settings != settings.to_dict():
        raise InputError(f"{out} exists already, a finished run with other settings; choose another --out or remove it")
    return run
