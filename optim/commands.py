"""``eigensam train``."""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ..ground.console import DataRoot, Device, Download, JsonFile, progress_bar, read_path
from ..ground.device import find_device
from ..ground.options import Only, only
from ..ground.outputs import Folder, Outputs
from ..ground.run_files import RUN_FILES
from ..landscapes.runs.data import DATA, load_data
from ..landscapes.runs.models import MODELS
from .settings import OPTIMIZERS, TrainSettings
from .training import check_run, read_metrics, train, unfinished

__all__ = ["TRAIN_OPTIONS", "train_command"]

_DEFAULT = TrainSettings()
_EIGEN_SAM = only("optimizer", "eigen-sam")
_FILES = Only("data that are not built in", lambda given: given["data"] != "digits")
TRAIN_OPTIONS: dict[str, Only] = {
    "rho": only("optimizer", "sam", "eigen-sam"),
    "alpha": _EIGEN_SAM,
    "refresh_every": _EIGEN_SAM,
    "power_iterations": _EIGEN_SAM,
    "solver": _EIGEN_SAM,
    "normalize": _EIGEN_SAM,
    "data_root": _FILES,
    "download": _FILES,
}


def train_command(
    out: Annotated[Path, typer.Option(parser=read_path, metavar="FOLDER", help="Run directory to make.")],
    data: Annotated[str, typer.Option(help=f"{', '.join(DATA)}.")] = _DEFAULT.data,
    model: Annotated[str, typer.Option(help=f"{', '.join(MODELS)}.")] = _DEFAULT.model,
    optimizer: Annotated[str, typer.Option(help=f"{', '.join(OPTIMIZERS)}.")] = _DEFAULT.optimizer,
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = _DEFAULT.epochs,
    batch_size: Annotated[int, typer.Option(help="Examples per minibatch.")] = _DEFAULT.batch_size,
    lr: Annotated[float, typer.Option(help="Initial learning rate; cosine to zero.")] = _DEFAULT.lr,
    momentum: Annotated[float, typer.Option(help="Of SGD.")] = _DEFAULT.momentum,
    weight_decay: Annotated[float, typer.Option(help="Of SGD.")] = _DEFAULT.weight_decay,
    rho: Annotated[float, typer.Option(help="Perturbation radius.")] = _DEFAULT.rho,
    alpha: Annotated[float, typer.Option(help="Eigen-SAM: weight of the eigenvector.")] = _DEFAULT.alpha,
    refresh_every: Annotated[
        int, typer.Option(help="Eigen-SAM: steps between estimates (k).")
    ] = _DEFAULT.refresh_every,
    power_iterations: Annotated[
        int, typer.Option(help="Eigen-SAM: products per estimate (p).")
    ] = _DEFAULT.power_iterations,
    solver: Annotated[str, typer.Option(help="Eigen-SAM: power or lanczos.")] = _DEFAULT.solver,
    normalize: Annotated[bool, typer.Option("--normalize", help="Eigen-SAM: perturbation of length rho.")] = False,
    augment: Annotated[bool, typer.Option("--augment", help="Random crops and flips.")] = False,
    spectrum_every: Annotated[int, typer.Option(help="Epochs between lambda_1 and alignment; 0 is never.")] = 0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    data_root: DataRoot = None,
    download: Download = False,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Train one network into a run directory: metrics.jsonl and a checkpoint."""
    folders = [Folder("--out", out, RUN_FILES), Folder("--out", unfinished(out))]
    outputs = Outputs(json, folders=folders)
    settings = TrainSettings(
        data,
        model,
        optimizer,
        epochs,
        batch_size,
        lr,
        momentum,
        weight_decay,
        rho,
        alpha,
        refresh_every,
        power_iterations,
        solver,
        normalize,
        augment,
        spectrum_every,
        seed,
    )
    target = find_device(device)
    check_run(out, resume=resume)
    tensors = load_data(data, data_root, download=download)
    outputs.console.print(f"training {model} on {data} with {optimizer} into {out} ({target})", markup=False)
    with progress_bar("steps") as (progress, task):

        def show(done: int, total: int, latest: dict[str, Any]) -> None:
            accuracy = f", test accuracy {latest['test_accuracy']:.1%}" if "test_accuracy" in latest else ""
            progress.update(task, completed=done, total=total, description=f"loss {latest['loss']:.4f}{accuracy}")

        train(settings, tensors, out, device=target, resume=resume, progress=show)
    metrics = read_metrics(out)
    result = {"run": str(out), "settings": settings.to_dict(), "metrics": metrics}
    outputs.save(result, device=target, dtype=torch.float32)
    last, console = metrics[-1], outputs.console
    console.print(
        f"finished: train loss {last['train_loss']:.4f}, test loss {last['test_loss']:.4f}, "
        f"test accuracy {last['test_accuracy']:.2%}"
    )
    console.print(f"wrote {out}", markup=False)
    outputs.say_written()
