"""What ``eigensam bound`` does: check, compute, print every term."""

from pathlib import Path

import torch

from ..ground.console import progress_bar
from ..ground.device import find_device
from ..ground.outputs import Outputs
from ..landscapes.runs.run import Run
from .family import BoundFamily
from .printing import print_bound

__all__ = ["run_bound"]


def run_bound(
    run: Path,
    family: BoundFamily,
    *,
    data_root: Path | None,
    download: bool,
    device: str,
    epoch: int | None,
    json: Path | None,
    plot: Path | None,
) -> None:
    """Bound a run, print it, and write it as JSON and as a picture if that is asked for.

    Raises:
        InputError: settings out of range, no run, other data, an output that cannot be written.
    """
    outputs = Outputs(json, plot=plot, inputs={"RUN": run})
    family.check()  # before data are loaded
    target = find_device(device)
    found = Run(run) if epoch is None else Run(run).at_epoch(epoch)
    data = found.data(data_root, download=download)
    with progress_bar("starting") as (progress, task):
        result = family.bound(found, data, device=target, progress=lambda what: progress.update(task, description=what))
    single = bool(getattr(family, "single", False))
    asked = {"run": str(run), "epoch": found.epoch, "settings": family.to_dict()}
    dtype = torch.float32 if single else torch.float64
    outputs.save({**result.to_dict(), **asked}, result.plot, device=target, dtype=dtype)
    title = family.title if epoch is None else f"{family.title} after epoch {epoch}"
    print_bound(outputs.console, title, result)
    outputs.say_written()
