"""What ``eigensam train`` does: check, train with a progress bar, say what came out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..ground.console import progress_bar
from ..ground.device import find_device
from ..ground.errors import InputError
from ..ground.outputs import Folder, Outputs
from ..ground.run_files import RUN_FILES
from ..landscapes.runs.data import load_data
from ..landscapes.runs.registries import OWN
from .run_directory import check_run, unfinished
from .settings import TrainSettings
from .training import train

__all__ = ["Place", "check_named", "run_training"]


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
    """

    out: Path
    device: str
    data_root: Path | None
    config: Path | None
    download: bool
    resume: bool


def check_named(settings: TrainSettings) -> None:
    """Refuse a network or data of one's own, which a command cannot get.

    Raises:
        InputError: which it is, and how to train it.
    """
    for name, value in (("model", settings.model), ("data", settings.data)):
        if value == OWN:
            raise InputError(f"--{name} {OWN} is for Python: train(settings, data, out, model=network); choose a name")


def run_training(settings: TrainSettings, place: Place, json: Path | None) -> None:
    """Train, print, and write JSON if that is asked for.

    Raises:
        InputError: a place that cannot be written, data that are not there, a loss that is not finite.
    """
    check_named(settings)
    out = place.out
    folders = [Folder("--out", out, RUN_FILES), Folder("--out", unfinished(out))]
    outputs = Outputs(json, folders=folders, inputs={"--config": place.config})
    target = find_device(place.device)
    check_run(out, resume=place.resume)
    data = load_data(settings.data, place.data_root, download=place.download)
    what = f"{settings.model} on {settings.data} with {settings.method.name}"
    outputs.console.print(f"training {what} into {out} ({target})", markup=False)
    with progress_bar("steps") as (progress, task):

        def show(done: int, total: int, latest: dict[str, Any]) -> None:
            accuracy = f", test accuracy {latest['test_accuracy']:.1%}" if "test_accuracy" in latest else ""
            progress.update(task, completed=done, total=total, description=f"loss {latest['loss']:.4f}{accuracy}")

        run = train(settings, data, out, device=target, resume=place.resume, progress=show)
    result = {"run": str(out), "settings": settings.to_dict(), "metrics": run.metrics}
    outputs.save(result, device=target, dtype=torch.float32)
    last, console = run.metrics[-1], outputs.console
    console.print(
        f"finished: train loss {last['train_loss']:.4f}, test loss {last['test_loss']:.4f}, "
        f"test accuracy {last['test_accuracy']:.2%}"
    )
    console.print(f"wrote {out}", markup=False)
    outputs.say_written()
