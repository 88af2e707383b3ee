"""Training runs that items share: each lives in a folder named after all that it depends on, and is made once."""

import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..ground.errors import InputError
from ..ground.fingerprints import fingerprint
from ..ground.records import read_json
from ..ground.result_store import Provenance
from ..ground.workers import in_workers, one_thread
from ..landscapes.runs.data import load_data
from ..landscapes.runs.data_digests import data_digest
from ..landscapes.runs.data_set import DataSet
from ..landscapes.runs.metrics import read_metrics
from ..landscapes.runs.registries import DATA
from ..optim.training.first_network import check_pretrained
from ..optim.training.identity import run_identity
from ..optim.training.settings import TrainSettings
from ..optim.training.train import train
from .item import Progress
from .planned_run import PlannedRun, planned_run
from .resources import Resources
from .used_data import used_data

__all__ = [
    "is_done",
    "made_with",
    "measured_rows",
    "planned_runs",
    "run_directories",
    "run_label",
    "train_runs",
]


def run_directories(runs: Iterable[TrainSettings], resources: Resources) -> dict[TrainSettings, Path]:
    """Where each run lives: the name carries the hash of all that the run depends on.

    Raises:
        InputError: data that are not there.
    """
    return {each: resources.out / "runs" / _folder(each, resources) for each in runs}


def _folder(settings: TrainSettings, resources: Resources) -> str:
    if ("folder", settings) not in resources.loaded:
        # Of the settings an identity holds the code of these only; to hash the examples for each run would take long.
        kinds = type(settings.method), type(settings.base_optimizer), type(settings.rate)
        key = "identity", settings.data, settings.model, settings.pretrained, *kinds
        if key not in resources.loaded:
            check_pretrained(settings, download=resources.download)
            with one_thread():  # as the workers
                data, device = used_data(settings.data, resources), resources.device
                resources.loaded[key] = run_identity(data, device, settings, examples=_digest(settings.data, resources))
        name = fingerprint(settings.to_dict(), resources.loaded[key])
        resources.loaded["folder", settings] = f"{settings.method.name}-seed{settings.seed}-{name[:12]}"
    folder: str = resources.loaded["folder", settings]
    return folder


def _digest(name: str, resources: Resources) -> str:
    """Of a data set that was loaded here and that nobody changes."""
    if ("digest", name) not in resources.loaded:
        resources.loaded["digest", name] = data_digest(used_data(name, resources))
    digest: str = resources.loaded["digest", name]
    return digest


def is_done(directory: Path) -> bool:
    """Whether a run is finished."""
    return (directory / "checkpoint.json").is_file()


def train_runs(
    runs: Sequence[TrainSettings], resources: Resources, progress: Progress = lambda done, total: None
) -> dict[TrainSettings, str]:
    """Train what is not there yet, in processes with one thread each: two with one beat one with two.

    A run that fails takes nothing from the others; one whose process was killed is tried once more, alone.

    Returns:
        Why each failed run has failed; empty if all are there.
    """
    directories = run_directories(runs, resources)
    left = [each for each in directories if not is_done(directories[each])]
    done, failed = len(directories) - len(left), dict[TrainSettings, str]()
    progress(done, len(directories))

    def attempt(chosen: Sequence[TrainSettings], jobs: int) -> None:
        nonlocal done
        roots = {each: None if DATA[each.data].built_in else resources.data_root for each in chosen}
        digests = {name: _digest(name, resources) for name in {each.data for each in chosen}}
        tasks = [(s, roots[s], digests[s.data], directories[s], resources.device) for s in chosen]
        for settings, reason in in_workers(_train_one, tasks, jobs, ordered=False):
            if reason:
                failed[settings] = reason
            done += 1
            progress(done, len(directories))

    for data in dict.fromkeys(each.data for each in left):
        used_data(data, resources)  # fetched and checked here, once
    try:
        attempt(left, max(1, min(resources.jobs, len(left))))
    except InputError as killed:
        for each in left:
            if not is_done(directories[each]) and each not in failed:
                try:
                    attempt([each], 2)  # in a process of its own, which nothing else dies with
                except InputError:
                    failed[each] = str(killed)
    return failed


def planned_runs(runs: Iterable[TrainSettings], resources: Resources) -> list[PlannedRun]:
    """What training them takes; without the data files where their size is known."""
    return [_planned(each, resources) for each in runs]


def _planned(settings: TrainSettings, resources: Resources) -> PlannedRun:
    looks = -(-settings.epochs // settings.spectrum_every) if settings.spectrum_every else 0
    done = lambda: is_done(run_directories([settings], resources)[settings])  # noqa: E731
    return planned_run(run_label(settings), settings, resources, done, looks)


def run_label(settings: TrainSettings) -> str:
    """In a list of runs.

    Example:
        >>> run_label(TrainSettings("sam", model="mlp", seed=3))
        'SAM, mlp on digits, seed 3'
    """
    return f"{settings.method.label}, {settings.model} on {settings.data}, seed {settings.seed}"


def measured_rows(directory: Path) -> list[dict[str, Any]]:
    """Metrics of a finished run, one dictionary for each epoch, without clocks: equal runs have equal rows."""
    return [{name: value for name, value in row.items() if name not in _CLOCKS} for row in read_metrics(directory)]


_CLOCKS = ("seconds", "curvature_seconds")


def made_with(directories: Iterable[Path]) -> Provenance:
    """What runs were made with, as their own files say; where they differ, every value."""
    found = [read_json(path / "checkpoint.json")["made_with"] for path in directories if is_done(path)]
    names = dict.fromkeys(name for each in found for name in each)
    values = {name: list(dict.fromkeys(each.get(name) for each in found)) for name in names}
    return {name: each[0] if len(each) == 1 else ", ".join(map(str, each)) for name, each in values.items()}


def _train_one(
    settings: TrainSettings, root: Path | None, digest: str, directory: Path, device: str
) -> tuple[TrainSettings, str]:
    try:
        if directory.is_dir() and not is_done(directory):
            shutil.rmtree(directory)  # made by us: the name is a hash
        if not directory.is_dir():
            train(settings, _data(settings.data, root, digest), directory, device=device, resume=True)
    except InputError as error:
        return settings, str(error)
    except (ArithmeticError, MemoryError, OSError, RuntimeError) as error:  # of this run: others go on
        return settings, f"{type(error).__name__}: {error}"
    return settings, ""


@lru_cache(maxsize=2)
def _data(name: str, root: Path | None, digest: str) -> DataSet:
    """In a worker: to send hundreds of megabytes with each task would take longer than to read them.

    Files that have changed since have another digest, and are read again.
    """
    return load_data(name, root)
