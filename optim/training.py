"""The training loop: deterministic, resumable bit for bit, and either finished or not there."""

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..ground.errors import InputError
from ..ground.records import write_atomically
from ..ground.run_files import LOCK, METRICS, RUN_FILES, SIDECAR, STATE
from ..ground.source_code import code_fingerprint, library_versions
from ..landscapes.runs.checkpoint import Checkpoint
from ..landscapes.runs.data import DataSet
from ..landscapes.runs.data_digests import data_digest
from ..landscapes.runs.models import build_model
from .measurement import SpectrumRecorder, evaluate
from .sam import SAM
from .settings import TrainSettings
from .state import load_state, save_state

__all__ = ["check_run", "read_metrics", "run_identity", "train", "unfinished"]

_READABLE = ("device", "threads", "libraries")
_BUSY = "another process is writing {}; wait until it has finished, or choose another --out"

Progress = Callable[[int, int, dict[str, Any]], None]


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The metrics of a run, one dictionary per epoch.

    Raises:
        InputError: no such file, not JSON lines, or not one line for each epoch.
    """
    path = Path(directory) / METRICS
    finished = path.with_name(SIDECAR).is_file()
    try:
        rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
        epochs = Checkpoint.read(path.parent).settings.get("epochs", len(rows)) if finished else len(rows)
        if [row["epoch"] for row in rows] != list(range(1, epochs + 1)):
            raise ValueError("lines are missing")
        return rows
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; give a run directory made by 'eigensam train'"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: it does not hold one line for each epoch; train again") from None


def _minibatches(data: DataSet, settings: TrainSettings, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """One permutation of the training set; all randomness follows from (seed, epoch)."""
    if settings.augment:
        from torchvision.transforms import v2  # seconds to import

        crop_and_flip = v2.Compose([v2.RandomCrop(data.shape[1:], padding=4), v2.RandomHorizontalFlip()])
    torch.manual_seed(settings.seed * 1_000_003 + epoch)
    order = torch.randperm(len(data.train_targets))
    for indices in order.split(settings.batch_size):
        if len(indices) == settings.batch_size:
            inputs = data.train_inputs[indices]
            if settings.augment:
                inputs = torch.stack([crop_and_flip(image) for image in inputs])
            yield inputs, data.train_targets[indices]


def run_identity(data: DataSet, device: torch.device | str) -> dict[str, str]:
    """What a run depends on besides its settings: examples, device, threads, code, libraries; to the last bit.

    Example:
        >>> from eigensam.landscapes import load_data
        >>> sorted(run_identity(load_data("digits"), "cpu"))[:3]
        ['code of eigensam', 'device', 'examples']
    """
    device = torch.device(device)
    versions = library_versions(__name__)
    return {
        "examples": data_digest(data),
        "device": str(device),
        "threads": str(torch.get_num_threads()) if device.type == "cpu" else "any",
        "code of eigensam": code_fingerprint(__name__),
        "libraries": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


class _Run:
    """Model, optimizer and metrics of a run between epochs."""

    def __init__(self, settings: TrainSettings, data: DataSet, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        self.identity = run_identity(data, device)
        torch.manual_seed(settings.seed)
        self.model = build_model(settings.model, data.shape, data.classes)
        self.initial = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.to(device)
        self.optimizer = settings.build_optimizer(self.model)
        self.recorder = SpectrumRecorder(data, settings.batch_size)
        self.metrics: list[dict[str, Any]] = []
        self.steps_per_epoch = len(data.train_targets) // settings.batch_size

    def state(self) -> dict[str, Any]:
        return {
            "settings": self.settings.to_dict(),
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "metrics": self.metrics,
        }

    def restore(self, path: Path) -> None:
        """Go on from a saved state; a state that does not fit, whatever is wrong with it, is refused."""
        state = load_state(path)
        try:
            self._restore(state)
        except InputError:
            raise
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path} is not a usable training state ({reason}); train anew elsewhere") from None

    def _restore(self, state: dict[str, Any]) -> None:
        if len(state["metrics"]) > self.settings.epochs:
            raise InputError("the unfinished run has more epochs than its settings; remove it and train anew")
        ours = self.settings.to_dict()
        for name, value in ours.items():
            if state["settings"].get(name) != value:
                raise InputError(
                    f"the unfinished run has {name} = {state['settings'].get(name)}, this command {value}; "
                    f"repeat the first command's settings, or choose another --out"
                )
        theirs = state.get("identity") or {}
        if different := [name for name, value in self.identity.items() if theirs.get(name) != value]:
            changes = ", ".join(
                name + (f" ({theirs.get(name)} there, {self.identity[name]} here)" if name in _READABLE else "")
                for name in different
            )
            raise InputError(
                f"the unfinished run differs in {changes}, so what follows would not be one run; go on as it began "
                "(--device, --data-root, OMP_NUM_THREADS, versions), or choose another --out"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.metrics = state["metrics"]

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        outputs: Tensor = self.model(inputs.to(self.device, non_blocking=True))
        return cross_entropy(outputs, targets.to(self.device, non_blocking=True))

    def epoch(self, after_step: Callable[[int, float], None]) -> None:
        """Train one epoch and append its metrics."""
        done, settings = len(self.metrics), self.settings
        total_steps = settings.epochs * self.steps_per_epoch
        self.model.train()
        losses = 0.0
        for step, (inputs, targets) in enumerate(_minibatches(self.data, settings, done)):
            fraction = (done * self.steps_per_epoch + step) / total_steps
            lr = settings.lr * 0.5 * (1 + math.cos(math.pi * fraction))
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            if isinstance(self.optimizer, SAM):
                loss = float(self.optimizer.step(lambda: self._loss(inputs, targets)))  # noqa: B023 (called at once)
            else:
                self.optimizer.zero_grad()
                batch_loss = self._loss(inputs, targets)
                batch_loss.backward()
                self.optimizer.step()
                loss = float(batch_loss.detach())
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss became {loss} at step {step + 1} of epoch {done + 1}; lower --lr (now {settings.lr:g}) "
                    f"or --rho (now {settings.rho:g})"
                )
            losses += loss
            after_step(step, loss)
        test_loss, test_accuracy = evaluate(self.model, self.data.test_inputs, self.data.test_targets)
        row: dict[str, Any] = {
            "epoch": done + 1,
            "lr": lr,
            "train_loss": losses / self.steps_per_epoch,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }
        every = settings.spectrum_every
        if every and ((done + 1) % every == 0 or done + 1 == settings.epochs):
            row |= self.recorder.measure(self.model, self.optimizer)
        self.metrics.append(row)


def train(
    settings: TrainSettings,
    data: DataSet,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    resume: bool = False,
    progress: Progress = lambda step, steps, latest: None,
) -> Path:
    """Train one network into a run directory: ``metrics.jsonl`` and the checkpoint.

    The work goes on in ``<out>.partial``, saved after every epoch and renamed to ``out`` at the end: a killed run
    leaves the last finished epoch there, from which ``resume`` goes on, bit for bit as if it had never stopped.

    Args:
        settings: every hyper-parameter.
        data: the data set that the settings name.
        out: run directory; must not exist (or be empty).
        device: where to train.
        resume: go on from ``<out>.partial`` if it is there.
        progress: called with (steps done, all steps, latest metrics).

    Returns:
        ``out``.

    Raises:
        InputError: ``out`` exists; an unfinished run is in the way, or has other settings, examples, code, versions,
            device or number of threads; a loss that is not
            finite (what was made in an unfinished first epoch is removed, finished epochs are kept).

    Example:
        >>> import pathlib, tempfile
        >>> from eigensam.landscapes import load_data
        >>> out = pathlib.Path(tempfile.mkdtemp()) / "a"
        >>> _ = train(TrainSettings(optimizer="sgd", epochs=1), load_data("digits"), out)
        >>> sorted(path.name for path in out.iterdir())
        ['checkpoint.json', 'checkpoint.safetensors', 'initial.safetensors', 'metrics.jsonl']
    """
    _check_settings(settings, data)
    check_run(out, resume=resume)
    out, partial = Path(os.path.realpath(out)), unfinished(out)  # a link is used for what it points at
    made = [folder for folder in (partial, *partial.parents) if not folder.exists()]
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = FileLock(partial / LOCK)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(_BUSY.format(partial)) from None
    except OSError as error:
        raise InputError(f"cannot write {partial}: {error.strerror}; choose a writable --out") from None
    try:
        with torch.random.fork_rng():
            run = _Run(settings, data, torch.device(device))
            state = partial / STATE
            if state.exists():
                run.restore(state)
            _train_epochs(run, partial, progress)
        architecture = Checkpoint(
            settings.model,
            data.shape,
            data.classes,
            data.name,
            settings.to_dict(),
            settings.seed,
            run.identity["examples"],
        )
        architecture.save(partial, run.model, run.initial, run.device)
        for temporary in filter(_is_temporary, partial.iterdir()):
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
    return out


def unfinished(out: Path) -> Path:
    """Where a run is while it is not finished.

    Raises:
        InputError: the root folder.

    Example:
        >>> unfinished(Path("/runs/a")).as_posix()
        '/runs/a.partial'
    """
    whole = Path(os.path.realpath(out))
    if not whole.name:
        raise InputError(f"{out} cannot be a run directory; choose another --out")
    return whole.with_name(whole.name + ".partial")


def _check_settings(settings: TrainSettings, data: DataSet) -> None:
    """Refuse settings that the data do not allow, before anything is written."""
    if data.name != settings.data:
        raise InputError(f"the settings name data '{settings.data}', but '{data.name}' was given; load the former")
    if settings.batch_size > len(data.train_targets):
        raise InputError(
            f"batch_size = {settings.batch_size} exceeds the {len(data.train_targets)} training examples; lower it"
        )
    if settings.augment and not data.augmentable:
        raise InputError(f"crops and flips change the class of {data.name} images; leave --augment out")


def check_run(out: Path, *, resume: bool = False) -> None:
    """Refuse a run directory that cannot be made, before any work and before anything is written.

    Args:
        out: run directory.
        resume: an unfinished run may be there.

    Raises:
        InputError: there is something else; one stands in the folder; another process is writing the run; an
            unfinished run is in the way.
    """
    partial = unfinished(out)
    if Path(os.path.realpath(out)) in (here := Path.cwd().resolve(), *here.parents):
        raise InputError(
            f"--out {out} holds the folder that the command runs in, which a finished run would replace; "
            "choose a new --out"
        )
    if (out / SIDECAR).is_file():
        raise InputError(f"{out} exists already, a finished run; choose another --out or remove it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists already; choose another --out or remove it")
    if partial.exists() and not partial.is_dir():
        raise InputError(f"{partial} is in the way; choose another --out or move it")
    if (partial / LOCK).is_file() and _is_held(partial / LOCK):
        raise InputError(_BUSY.format(partial))
    foreign = [path.name for path in partial.glob("*") if path.name not in RUN_FILES and not _is_temporary(path)]
    if foreign:
        raise InputError(f"{partial} is not an unfinished run: it holds {foreign[0]}; choose another --out or move it")
    if (partial / SIDECAR).is_file() and not (partial / STATE).is_file():
        raise InputError(f"{partial} is a finished run of its own; choose another --out or move it")
    if partial.exists() and not resume:
        raise InputError(f"an unfinished run is in {partial}; add --resume to go on with it, or remove it")


def _is_temporary(path: Path) -> bool:
    """Whether a write that was killed has left it."""
    return path.name.startswith(".") and path.name[1:].rpartition(".")[0] in RUN_FILES


def _is_held(path: Path) -> bool:
    """Whether another process has the lock; trying leaves it as it was."""
    lock = FileLock(path)
    try:
        with lock.acquire(blocking=False):
            return False
    except Timeout:
        return True


def _train_epochs(run: _Run, partial: Path, progress: Progress) -> None:
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
