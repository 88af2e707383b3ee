"""``eigensam train``: options and help; torch loads when it runs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ..ground.console import DataRoot, Device, Download, JsonFile, progress_bar, read_path
from ..ground.device import find_device
from ..ground.late_options import LateOptions, option, with_late_options
from ..ground.options import Only, strict
from ..ground.outputs import Folder, Outputs
from ..ground.run_files import RUN_FILES
from ..ground.settings import settings_of
from ..landscapes.runs.registries import DATA
from .registry import OPTIMIZERS

__all__ = ["TrainCommand", "train_command"]


def _options() -> LateOptions:
    """Those of a run, then those of every optimizer that is registered."""
    from .settings import TrainSettings

    text = f"The method that trains; its own options are below. One of: {', '.join(OPTIMIZERS)}."
    choose = LateOptions([option("optimizer", TrainSettings().method.name, text, "Training")], {})
    run = LateOptions.of(TrainSettings, "Training")
    return choose + run + LateOptions.of_kinds(OPTIMIZERS, "optimizer", "Optimizer")


def _from_files(given: Any) -> bool:
    return given["data"] not in DATA or not DATA[given["data"]].built_in


_FILES = Only("data that are not built in", _from_files)
TrainCommand: type[TyperCommand] = with_late_options(strict({"data_root": _FILES, "download": _FILES}), _options)


def train_command(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option(parser=read_path, metavar="FOLDER", help="The run directory to make; it must not exist.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished run, bit for bit as if it had not stopped.")
    ] = False,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Train one network into a run directory: metrics.jsonl and a checkpoint."""
    from .run_directory import check_run, unfinished  # here: --help needs no torch
    from .settings import TrainSettings

    values: dict[str, Any] = ctx.obj
    folders = [Folder("--out", out, RUN_FILES), Folder("--out", unfinished(out))]
    outputs = Outputs(json, folders=folders)
    kind = OPTIMIZERS[values["optimizer"]]
    own = {each.name: values[each.name] for each in settings_of(kind)}
    shared = {each.name: values[each.name] for each in settings_of(TrainSettings)}
    settings = TrainSettings(kind(**{name: value for name, value in own.items() if value is not None}), **shared)
    target = find_device(device)
    check_run(out, resume=resume)

    import torch

    from ..landscapes.runs.data import load_data
    from .training import train

    tensors = load_data(settings.data, data_root, download=download)
    what = f"{settings.model} on {settings.data} with {settings.method.name}"
    outputs.console.print(f"training {what} into {out} ({target})", markup=False)
    with progress_bar("steps") as (progress, task):

        def show(done: int, total: int, latest: dict[str, Any]) -> None:
            accuracy = f", test accuracy {latest['test_accuracy']:.1%}" if "test_accuracy" in latest else ""
            progress.update(task, completed=done, total=total, description=f"loss {latest['loss']:.4f}{accuracy}")

        run = train(settings, tensors, out, device=target, resume=resume, progress=show)
    result = {"run": str(out), "settings": settings.to_dict(), "metrics": run.metrics}
    outputs.save(result, device=target, dtype=torch.float32)
    last, console = run.metrics[-1], outputs.console
    console.print(
        f"finished: train loss {last['train_loss']:.4f}, test loss {last['test_loss']:.4f}, "
        f"test accuracy {last['test_accuracy']:.2%}"
    )
    console.print(f"wrote {out}", markup=False)
    outputs.say_written()
