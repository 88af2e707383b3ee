"""One training for each of several seeds, and what they say together."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from ...ground.intervals import Interval, mean_interval
from ...ground.run_files import SIDECAR
from ...ground.workers import in_workers
from ...landscapes.runs.data import load_data
from ...landscapes.runs.data_set import DataSet
from ...landscapes.runs.run import Run
from .continuation import finished_run
from .run_directory import check_run
from .settings import TrainSettings
from .train import train

__all__ = ["SeedRuns"]

_NOT_MEASURED = ("epoch", "lr", "seconds", "curvature_seconds")


@dataclass(frozen=True)
class SeedRuns:
    """Trainings that differ in their seed alone, in ``out/seed-0`` and so on.

    Each computes with one thread, so that it is the same whatever the number of processes.

    Attributes:
        settings: of all, whatever the seed in them.
        seeds: one run each.
        out: folder of the runs.

    Raises:
        InputError: no seed, or one twice.

    Example:
        >>> import pathlib, tempfile
        >>> runs = SeedRuns(TrainSettings("sgd", epochs=1), (0, 1), pathlib.Path(tempfile.mkdtemp()))
        >>> [path.name for path in runs.train("cpu", None, jobs=1)]
        ['seed-0', 'seed-1']
        >>> sorted(runs.summary()["test_accuracy"].__dict__)
        ['half_width', 'mean']
    """

    settings: TrainSettings
    seeds: tuple[int, ...]
    out: Path

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"seeds = {self.seeds}; give each once, and at least one")

    @cached_property
    def directories(self) -> dict[TrainSettings, Path]:
        """Where each run lives."""
        return {replace(self.settings, seed=seed): self.out / f"seed-{seed}" for seed in self.seeds}

    def missing(self, data_root: Path | None, *, resume: bool) -> dict[TrainSettings, Path]:
        """Those that are not finished, checked before any work.

        Args:
            data_root: folder of data that are not built in.
            resume: finished and unfinished runs may be there.

        Raises:
            InputError: ``out`` is a run itself; something is in the way; a finished run has other settings or examples.
        """
        if (self.out / SIDECAR).exists():
            raise InputError(f"{self.out} is a run itself; choose another --out for a folder of several")
        found: dict[TrainSettings, Path] = {}
        whole: DataSet | None = None
        for settings, path in self.directories.items():
            if resume and (path / SIDECAR).is_file():
                whole = load_data(self.settings.data, data_root) if whole is None else whole
                if finished_run(path, settings, whole) is not None:
                    continue
            check_run(path, resume=resume)
            found[settings] = path
        return found

    def train(
        self, device: str, data_root: Path | None, *, jobs: int, resume: bool = False, save_minutes: float = 10.0
    ) -> Iterator[Path]:
        """Train what is missing; yields the directory of each run that has been finished.

        Args:
            device: where to train.
            data_root: folder of data that are not built in.
            jobs: processes, one thread each.
            resume: skip finished runs, go on with unfinished ones.
            save_minutes: from one save within an epoch to the next.

        Raises:
            InputError: see :meth:`missing`; a training that cannot go on, and its seed. Finished runs are kept.
        """
        missing = self.missing(data_root, resume=resume)
        tasks = [(settings, path, device, data_root, resume, save_minutes) for settings, path in missing.items()]
        made = [folder for folder in (self.out, *self.out.parents) if not folder.exists()]
        try:
            self.out.mkdir(parents=True, exist_ok=True)  # here, so that no training takes it away from another one
        except OSError as error:
            raise InputError(f"cannot write {self.out}: {error.strerror}; choose a writable --out") from None
        try:
            yield from in_workers(_train_one, tasks, min(jobs, max(len(tasks), 1)), ordered=False)
        except InputError:
            for folder in made:
                with suppress(OSError):  # something is finished
                    folder.rmdir()
            raise

    def runs(self) -> list[Run]:
        """All of them, finished."""
        return [Run(path) for path in self.directories.values()]

    def summary(self, confidence: float = 0.95) -> dict[str, Interval]:
        """Student's interval of each metric's mean over the seeds, in the epoch whose weights are kept.

        The seeds are the only thing that is drawn: the interval says nothing of other data or other settings. That of a
        single seed has no width.
        """
        rows = [run.kept for run in self.runs()]
        names = [
            name for name in rows[0] if name not in _NOT_MEASURED and all(_is_number(row.get(name)) for row in rows)
        ]
        return {name: _interval([float(row[name]) for row in rows], confidence) for name in names}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _interval(values: list[float], confidence: float) -> Interval:
    return mean_interval(values, confidence) if len(values) > 1 else Interval(values[0], float("nan"))


def _train_one(
    settings: TrainSettings, path: Path, device: str, data_root: Path | None, resume: bool, save_minutes: float
) -> Path:
    try:
        data = load_data(settings.data, data_root)
        train(settings, data, path, device=device, resume=resume, save_minutes=save_minutes)
    except InputError as error:
        raise InputError(f"seed {settings.seed}: {error}; runs that are finished are kept") from None
    return path
