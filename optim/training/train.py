"""The training loop: deterministic, resumable bit for bit, and either finished or not there."""

import functools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from torch import nn

from ...ground.device import find_device
from ...ground.errors import InputError
from ...ground.records import provenance, write_atomically, write_json
from ...ground.run_files import LOCK, METRICS, RUN_FILES, SETTINGS, SIDECAR, STATE
from ...landscapes.networks.modes import kept_modes
from ...landscapes.runs.checkpoint import Checkpoint
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from .continuation import finished_run, put_in_place
from .first_network import check_pretrained
from .fitting import check_fits
from .ranks import Ranks
from .run_directory import BUSY, check_run, is_temporary, unfinished
from .settings import TrainSettings
from .snapshots import remove_snapshots, restore_snapshots, write_snapshot
from .state import save_state
from .training import Training
from .training_examples import TrainingExamples
from .training_log import Progress, TrainingLog

__all__ = ["train"]


def train(
    settings: TrainSettings,
    data: DataSet,
    out: Path | str,
    *,
    model: nn.Module | None = None,
    device: torch.device | str = "cpu",
    resume: bool = False,
    save_minutes: float = 10.0,
    progress: Progress | TrainingLog = lambda done, steps, latest: None,
) -> Run:
    """Train one network into a run directory: ``metrics.jsonl``, the settings and the checkpoint.

    The work goes on in ``<out>.partial``, saved after every epoch and every few minutes, and renamed to ``out`` at the
    end: a killed run leaves there what was saved last, from which ``resume`` goes on, bit for bit as if it had never
    stopped. That holds for random numbers of torch; what a network draws from elsewhere is neither seeded nor saved.

    Where ``torch.distributed`` has been initialised, all its processes are to call this with the same arguments: each
    takes its part of every minibatch, whose ``batch_size`` stays that of all together; the first one measures, writes
    and shows progress. They share one file system.

    Args:
        settings: every hyper-parameter.
        data: the data set that the settings name, whole also if only a part of it is trained on; any one where they
            say ``data="own"``.
        out: run directory; must not exist (or be empty).
        model: one's own network, where the settings say ``model="own"``: it is trained in place, from the parameters
            that it has, all its modules in train mode; then they are in the modes that they came in. Open the run with
            ``Run(out, model)``. To resume, make it anew with the parameters that it began with.
        device: where to train.
        resume: go on from ``<out>.partial`` if it is there; a finished run in ``out`` is returned as it is, or goes on
            to more epochs if its schedule is extendable: its training state is kept for that.
        save_minutes: from one save within an epoch to the next; infinite is never.
        progress: called with (steps done, all steps, latest metrics); or what also hears of epochs and of curvature,
            such as a :class:`TensorBoardLog`.

    Returns:
        The run in ``out``, opened.

    Raises:
        InputError: ``out`` exists; an unfinished run is in the way, or has other settings, examples, code, versions,
            device, number of threads or of processes; processes that minibatches cannot be divided among, or that
            were asked for different runs; data or a network of one's own that do not fit; pretrained weights that are
            missing; a loss that is not finite (what was made in an unfinished first epoch is removed, finished epochs
            are kept).

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.landscapes import load_data
        >>> out = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> _ = train(TrainSettings("sgd", epochs=1), load_data("digits"), out)
        >>> sorted(path.name for path in out.iterdir())
        ['checkpoint.json', 'checkpoint.safetensors', 'initial.safetensors', 'metrics.jsonl', 'settings.json']

        A network and data of one's own:

        >>> import torch
        >>> from eigensam.landscapes import DataSet, Run
        >>> x, y = torch.randn(64, 3), torch.randint(2, (64,))
        >>> mine, network = DataSet("mine", x, y, x[:8], y[:8], classes=2, augmentable=False), torch.nn.Linear(3, 2)
        >>> settings = TrainSettings("sam", data="own", model="own", epochs=1, batch_size=16)
        >>> run = train(settings, mine, out.with_name("b"), model=network)
        >>> run.landscape(mine, batch_size=16).dim
        8
    """
    check_fits(settings, data, model)
    if not isinstance(save_minutes, int | float) or not save_minutes >= 0:
        raise InputError(f"save_minutes = {save_minutes} must be at least 0 (after every step); infinite is never")
    target = device if isinstance(device, torch.device) else find_device(device)
    provenance()  # which is that of the code that trains, also if somebody edits it meanwhile
    ranks = Ranks.found()
    ranks.check_size(settings.batch_size, settings.method.closures)
    drawn = TrainingExamples.draw(settings, data)
    out = Path(os.path.realpath(out))  # a link is used for what it points at
    ranks.require_same({"run directory": str(out), "resume": resume})
    ranks.on_first(functools.partial(check_run, out, resume=resume))
    earlier = ranks.on_first(lambda: (out / SIDECAR).read_bytes() if (out / SIDECAR).is_file() else None)
    if earlier is not None and (found := finished_run(out, settings, data, model)) is not None:
        return found
    ranks.on_first(lambda: check_pretrained(settings))
    data = drawn.data
    with _unfinished(out, ranks) as partial:
        with torch.random.fork_rng():
            run = Training(settings, data, target, drawn.validation, model, ranks)
            # The latter is that of a finished run, which goes on to more epochs.
            states = ranks.on_first(lambda: [path for path in (partial / STATE, out / STATE) if path.exists()])
            if states:
                run.restore(states[0])
            digests = ranks.on_first(lambda: drawn.write(partial))  # after other settings have been refused
            ranks.on_first(lambda: write_json(partial / SETTINGS, settings.to_dict()))
            source = states[0].parent if states else partial
            ranks.on_first(lambda: restore_snapshots(partial, source, run.snapshots))
            run.record(partial)
            log = progress if isinstance(progress, TrainingLog) else TrainingLog(progress)
            log = log if ranks.first else TrainingLog()
            log.begin(run.steps)
            try:
                with kept_modes(run.model):
                    _train_epochs(run, partial, save_minutes, log)
            finally:
                log.end()
            run.early_stop.give_best(run.model)
        architecture = Checkpoint(
            settings.model,
            data.shape,
            data.classes,
            data.name,
            settings.to_dict(),
            settings.seed,
            run.identity["examples"],
            drawn.whole_sha256,
            {**digests, **run.snapshots},
            len(run.metrics),
            run.early_stop.epoch or len(run.metrics),
            run.identity.get("network", ""),
        )
        ranks.on_first(lambda: architecture.save(partial, run.model, run.initial, run.device))
    ranks.on_first(lambda: _finish(partial, out, earlier, keep_state=settings.rate.extendable))
    return Run(out, model)


@contextmanager
def _unfinished(out: Path, ranks: Ranks) -> Iterator[Path]:
    """Where the run grows, locked by the first process; what is not worth keeping after an error is removed."""
    partial = unfinished(out)
    made = [folder for folder in (partial, *partial.parents) if not folder.exists()] if ranks.first else []
    lock = FileLock(partial / LOCK)
    ranks.on_first(lambda: _lock(lock, partial))
    try:
        yield partial
        if ranks.first:
            for temporary in filter(is_temporary, partial.iterdir()):
                temporary.unlink()
    except Exception:
        if made and not (partial / STATE).exists():  # nothing in it is finished
            remove_snapshots(partial)
            for path in partial.iterdir():
                if path.name in RUN_FILES or is_temporary(path):
                    path.unlink()
            for folder in made:
                with suppress(OSError):  # somebody has put something there meanwhile
                    folder.rmdir()
        raise
    finally:
        lock.release()


def _lock(lock: FileLock, partial: Path) -> None:
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(BUSY.format(partial)) from None
    except OSError as error:
        raise InputError(f"cannot write {partial}: {error.strerror}; choose a writable --out") from None


def _finish(partial: Path, out: Path, earlier: bytes | None, *, keep_state: bool) -> None:
    """Give a run its name; the state goes last: a kill before loses nothing."""
    put_in_place(partial, out, earlier)
    for name in (LOCK,) if keep_state else (STATE, LOCK):
        (out / name).unlink(missing_ok=True)


def _train_epochs(run: Training, partial: Path, save_minutes: float, log: TrainingLog) -> None:
    """Train what is missing, saving after every epoch and every so many minutes."""
    steps, saved, ranks = run.settings.epochs * run.steps_per_epoch, time.monotonic(), run.ranks
    told = sum(row["step"] < run.steps for row in run.curvature)

    def tell_curvature() -> None:
        nonlocal told
        for row in run.curvature[told:]:
            log.curvature(row)
        told = len(run.curvature)

    def keep() -> None:
        """Before the state that knows of it: a kill between the two takes nothing from what a state knows of."""
        epoch, every = len(run.metrics), run.settings.snapshot_every
        if every and epoch % every == 0:
            run.snapshots |= ranks.on_first(lambda: write_snapshot(partial, epoch, run.model))

    def save() -> None:
        nonlocal saved
        lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in run.metrics)
        ranks.on_first(functools.partial(write_atomically, partial / METRICS, lines.encode()))
        state = run.state()
        ranks.on_first(lambda: save_state(partial / STATE, state))
        saved = time.monotonic()

    def after_step(step: int, loss: float) -> None:
        tell_curvature()
        # Clocks differ: all save if one of them says so.
        due = ranks.mean(float(time.monotonic() - saved >= 60 * save_minutes), run.device)
        if due and step + 1 < run.steps_per_epoch and ranks.on_first(run.is_finite):
            save()  # weights that are lost do not take the place of the last good ones
        latest = run.metrics[-1] if run.metrics else {}
        log.step(run.steps, steps, {**latest, "loss": loss})

    if run.metrics:
        save()  # a finished run that goes on has them elsewhere, and may have nothing left to train
    tell_curvature()
    if run.metrics and not run.step:
        log.epoch(run.steps, run.metrics[-1])
    while not run.done:
        try:
            run.epoch(after_step)
        except InputError as error:
            if run.metrics:
                raise InputError(f"{error}; the {len(run.metrics)} finished epochs are kept in {partial}") from None
            raise
        log.epoch(run.steps, run.metrics[-1])
        keep()
        save()
