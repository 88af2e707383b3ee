"""Training and measuring every model, once each: what is complete is kept, whatever happens to the rest."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...ground.errors import InputError
from ...ground.fingerprints import fingerprint
from ...ground.result_store import measured, single_threaded
from ...ground.workers import in_workers
from ...landscapes.runs.data_set import DataSet
from ...optim.training.settings import TrainSettings
from ...optim.training.train import train
from .measures import measure_run, with_configuration
from .settings import Configuration, OrderSettings

__all__ = ["ModelRuns"]


@dataclass(frozen=True)
class ModelRuns:
    """The runs of a grid in a folder: ``runs/`` and a record of each in ``records/``.

    Attributes:
        settings: the grid.
        data: whole data set.
        out: folder.
    """

    settings: OrderSettings
    data: DataSet
    out: Path

    def tasks(self) -> list[tuple[Any, ...]]:
        """What workers are given, in the order of the grid."""
        return [
            (configuration, training, self.data, self._name(configuration, training), self.out, self.settings)
            for (configuration, _), training in self.settings.runs().items()
        ]

    def missing(self) -> int:
        """How many records are not there, whatever settings or code made those that are."""
        return sum(not (self.out / "records" / f"{task[3]}.json").is_file() for task in self.tasks())

    def measure(self, jobs: int, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
        """Train and measure what is not there; every record, in the order of the grid.

        Args:
            jobs: processes of one thread each, so that numbers do not depend on it.
            progress: called with how many are done, and of how many.
        """
        (self.out / "records").mkdir(parents=True, exist_ok=True)
        tasks, found = self.tasks(), []
        for record in in_workers(_one, tasks, min(jobs, len(tasks))):
            found.append(record)
            progress(len(found), len(tasks))
        return found

    def first(self) -> float:
        """Seconds that the first model that is missing takes, which is kept: what a dry run estimates from."""
        task = next(task for task in self.tasks() if not (self.out / "records" / f"{task[3]}.json").is_file())
        (self.out / "records").mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        list(in_workers(_one, [task], 1))
        return time.perf_counter() - begin

    def _name(self, each: Configuration, training: TrainSettings) -> str:
        """Readable, and different for other settings of the training."""
        text = f"{each.method}-b{each.batch_size}-lr{each.lr:g}-seed{training.seed}".replace(" ", "")
        return f"{text}-{fingerprint(training.to_dict())[:8]}"


def _one(
    configuration: Configuration, training: TrainSettings, data: DataSet, name: str, out: Path, settings: OrderSettings
) -> dict[str, Any]:
    """One model: trained, unless it is there, then measured, unless that is."""

    def measure() -> dict[str, Any]:
        try:
            run = train(training, data, out / "runs" / name, resume=True)
            numbers: dict[str, Any] = measure_run(run, data, delta=settings.delta, p_min=settings.p_min)
        except InputError as error:  # one that diverges is named; the others are compared
            numbers = {"failed": str(error).replace(str(out), "")}
        return with_configuration(numbers, configuration, training.seed)

    path = out / "records" / f"{name}.json"
    asked: dict[str, Any] = {"training": training.to_dict(), "data": fingerprint(data.train_targets, data.train_inputs)}
    asked |= {"delta": settings.delta, "p_min": settings.p_min}
    found: dict[str, Any] = measured(path, asked, __name__, measure, lambda: single_threaded("cpu")).result
    return found
