"""The training loop: deterministic, resumable bit for bit, and either finished or not there."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ..ground.errors import InputError
from ..ground.records import write_atomically
from ..ground.run_files import LOCK, METRICS, STATE
from ..landscapes.runs.checkpoint import Checkpoint
from ..landscapes.runs.data_set import DataSet
from ..landscapes.runs.run import Run
from .run_directory import BUSY, check_run, is_temporary, unfinished
from .settings import TrainSettings
from .state import save_state
from .training_examples import TrainingExamples
from .training_state import Training

__all__ = ["train"]

Progress = Callable[[int, int, dict[str, Any]], None]


def train(
    settings: TrainSettings,
    data: DataSet,
    out: Path | str,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    progress: Progress = lambda step, steps, latest: None,
) -> Run:
    """Train one network into a run directory: ``metrics.jsonl`` and the checkpoint.

    The work goes on in ``<out>.partial``, saved after every epoch and renamed to ``out`` at the end: a killed run
    leaves the last finished epoch there, from which ``resume`` goes on, bit for bit as if it had never stopped.

    Args:
        settings: every hyper-parameter.
        data: the data set that the settings name, whole also if only a part of it is trained on.
        out: run directory; must not exist (or be empty).
        device: where to train.
        resume: go on from ``<out>.partial`` if it is there.
        progress: called with (steps done, all steps, latest metrics).

    Returns:
        The run in ``out``, opened.

    Raises:
        InputError: ``out`` exists; an unfinished run is in the way, or has other settings, examples, code, versions,
            device or number of threads; a loss that is not
            finite (what was made in an unfinished first epoch is removed, finished epochs are kept).

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.landscapes import load_data
        >>> out = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> _ = train(TrainSettings("sgd", epochs=1), load_data("digits"), out)
        >>> sorted(path.name for path in out.iterdir())
        ['checkpoint.json', 'checkpoint.safetensors', 'initial.safetensors', 'metrics.jsonl']
    """
    _check_settings(settings, data)
    drawn = TrainingExamples.draw(settings, data)
    data = drawn.data
    out = Path(out)
    check_run(out, resume=resume)
    out, partial = Path(os.path.realpath(out)), unfinished(out)  # a link is used for what it points at
    made = [folder for folder in (partial, *partial.parents) if not folder.exists()]
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = FileLock(partial / LOCK)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(BUSY.format(partial)) from None
    except OSError as error:
        raise InputError(f"cannot write {partial}: {error.strerror}; choose a writable --out") from None
    try:
        with torch.random.fork_rng():
            run = Training(settings, data, torch.device(device), drawn.validation)
            state = partial / STATE
            if state.exists():
                run.restore(state)
            digests = drawn.write(partial)  # after other settings have been refused
            _train_epochs(run, partial, progress)
        architecture = Checkpoint(
            settings.model,
            data.shape,
            data.classes,
            data.name,
            settings.to_dict(),
            settings.seed,
            run.identity["examples"],
            drawn.whole_sha256,
            digests,
        )
        architecture.save(partial, run.model, run.initial, run.device)
        for temporary in filter(is_temporary, partial.iterdir()):
            temporary.unlink()
    except InputError:
        if made and not (partial / STATE).exists():
            shutil.rmtree(partial)  # nothing in it is finished
            for folder in made[1:]:
                folder.rmdir()
        raise
    finally:
        lock.release()
    try:
        partial.replace(out)  # the state goes last: a kill before this line loses nothing
    except OSError as error:
        raise InputError(f"the finished run stays in {partial}: cannot rename it to {out} ({error.strerror})") from None
    for name in (STATE, LOCK):
        (out / name).unlink(missing_ok=True)
    return Run(out)


def _check_settings(settings: TrainSettings, data: DataSet) -> None:
    """Refuse settings that the data do not allow, before anything is written."""
    if data.name != settings.data:
        raise InputError(f"the settings name data '{settings.data}', but '{data.name}' was given; load the former")
    if settings.augment and not data.augmentable:
        raise InputError(f"crops and flips change the class of {data.name} images; leave --augment out")


def _train_epochs(run: Training, partial: Path, progress: Progress) -> None:
    """Train what is missing, saving after every epoch."""
    steps = run.settings.epochs * run.steps_per_epoch

    def after_step(step: int, loss: float) -> None:
        latest = run.metrics[-1] if run.metrics else {}
        progress(len(run.metrics) * run.steps_per_epoch + step + 1, steps, {**latest, "loss": loss})

    while len(run.metrics) < run.settings.epochs:
        try:
            run.epoch(after_step)
        except InputError as error:
            if run.metrics:
                raise InputError(f"{error}; the {len(run.metrics)} finished epochs are kept in {partial}") from None
            raise
        lines = "".join(json.dumps(row) + "\n" for row in run.metrics)
        write_atomically(partial / METRICS, lines.encode())
        save_state(partial / STATE, run.state())
