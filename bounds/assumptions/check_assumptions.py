"""All assumptions of the paper's theorems at a trained run."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from ...ground.errors import InputError
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from .boundedness import bounded_loss_rows, domain_row
from .duplicates import duplicate_rows
from .input_lipschitz import input_lipschitz_row
from .known_data import independence_row
from .noise import noise_rows
from .parameter_lipschitz import parameter_lipschitz_rows
from .settings import AssumptionSettings
from .smoothness import growth_row, smoothness_row
from .subject import Subject
from .table import AssumptionTable
from .trained_point import gap_rows, gradient_rows
from .training_details import training_rows

__all__ = ["check_assumptions"]


def check_assumptions(
    run: Run | Path | str,
    data: DataSet | None = None,
    settings: AssumptionSettings | None = None,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[str], None] = lambda what: None,
) -> AssumptionTable:
    """Which assumptions of Theorem 4.1, Theorem 4.2 and Corollary 4.2.1 hold, fail, or cannot be decided at a run.

    What is said to hold is proved (from the modules, the settings, or a complete count), or is about one point or one
    mean with an interval. A sample of infinitely many points can only refute.

    Args:
        run: or its directory, made by ``eigensam train``.
        data: what ``run.data()`` has returned; None loads it, which works for data that are built in.
        settings: effort.
        device: where to compute.
        progress: called with what is being computed.

    Raises:
        InputError: no run, other data, a training that diverged.
        RuntimeError: a sampled lower end above a proved upper one, which would be a mistake of this package.

    Reference:
        Luo, Truong, Pham, Harandi, Phung, Le, Explicit Eigenvalue Regularization Improves Sharpness-Aware Minimization,
        NeurIPS 2024, Theorems 4.1 and 4.2, Corollary 4.2.1, and their assumptions in Appendix A.

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.landscapes import load_data
        >>> from eigensam.optim import TrainSettings, train
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> run = train(TrainSettings("sam", model="mlp32", epochs=1), load_data("digits"), folder)
        >>> table = check_assumptions(run, settings=AssumptionSettings(examples=64))
        >>> table.row("continuous third and fourth derivatives").verdict
        'holds'
        >>> table.row("bounded parameter domain").verdict
        'fails'
    """
    settings = AssumptionSettings() if settings is None else settings
    run = run if isinstance(run, Run) else Run(run)
    data = run.data() if data is None else data
    run.checkpoint.check_data(data)
    subject = Subject(run, data, settings, torch.device(device), progress)
    if not bool(torch.isfinite(subject.x).all()):
        raise InputError(f"the parameters of {run.directory} hold NaN or infinity: its training diverged; train again")
    rows = [
        *bounded_loss_rows(subject),
        domain_row(subject),
        smoothness_row(subject),
        growth_row(subject),
        *parameter_lipschitz_rows(subject),
        input_lipschitz_row(subject),
        *gap_rows(subject),
        *gradient_rows(subject),
        *noise_rows(subject),
        independence_row(subject),
        *duplicate_rows(subject),
        *training_rows(subject),
    ]
    arithmetic = str(subject.dtype).removeprefix("torch.")
    name = f"{run.checkpoint.model} on {run.checkpoint.data}, {subject.dim} parameters, {arithmetic}"
    return AssumptionTable(name, rows, asdict(settings))
