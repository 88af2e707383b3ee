"""Trainings by Eigen-SAM that are looked into while they go on, each kept in a file of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ground.errors import InputError
from ..ground.result_store import Provenance, result_key
from ..ground.workers import in_workers, one_thread
from .item import Progress
from .measurements.kept_record import is_kept, kept_record
from .planned_run import PlannedRun, planned_run
from .resources import Resources

if TYPE_CHECKING:
    from ..landscapes.runs.data_set import DataSet
    from ..optim.training.settings import TrainSettings

__all__ = ["FollowedTrainings"]

Measure = Callable[..., Any]
"""``measure(settings, data, device, examples, *more)``, a function of a module: what one training is asked for."""


@dataclass(frozen=True)
class FollowedTrainings:
    """Runs of Eigen-SAM that share everything but network and seed.

    Attributes:
        settings: shared by all; the optimizer is Eigen-SAM.
        models: names of networks, the smaller ones first.
        seeds: bands are over them.
        examples: over which the training loss is taken whose Hessian is the truth; 0 is all of them.
    """

    settings: "TrainSettings"
    models: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    examples: int = 0

    @classmethod
    def digits(cls, models: Sequence[str], epochs: int, examples: int) -> "FollowedTrainings":
        """Digits, with the paper's Algorithm 1, its 5 products (released code) and its 100 steps between estimates.

        Ours: as few training examples as are given make the loss whose eigenvector is the truth, to take seconds.
        """
        from ..optim.methods.eigen_sam import EigenSAMSettings
        from ..optim.training.settings import TrainSettings

        as_in_the_paper = EigenSAMSettings(solver="power", guard=0.0)
        settings = TrainSettings(optimizer=as_in_the_paper, data="digits", epochs=epochs)
        return cls(settings, tuple(models), examples=examples)

    def runs(self) -> "list[TrainSettings]":
        """One for each network and seed."""
        return [replace(self.settings, model=model, seed=seed) for model in self.models for seed in self.seeds]

    def over(self, count: int) -> "FollowedTrainings":
        """The same over so many seeds."""
        return replace(self, seeds=tuple(range(count)))

    def size(self) -> dict[str, Any]:
        """What all runs share, networks and seeds, for the report."""
        shared = {name: value for name, value in self.settings.to_dict().items() if name not in ("model", "seed")}
        for name, value in shared.items():
            if isinstance(value, dict):
                shared[name] = ", ".join(f"{key} {each}" if key != "name" else str(each) for key, each in value.items())
        return {**shared, "networks": list(self.models), "seeds": list(self.seeds), "examples": self.examples}

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there, and another optimizer.

        Raises:
            InputError: what is wrong, and the repair.
        """
        if self.settings.method.name != "eigen-sam" or not self.models or not self.seeds:
            raise InputError(
                f"optimizer {self.settings.method.name}, {len(self.models)} networks, {len(self.seeds)} seeds: what is "
                "followed are estimates of Eigen-SAM; give it, with at least one network and seed"
            )
        self._drawn(resources, self.settings)

    def key(self, resources: Resources) -> dict[str, Any]:
        """The size, and which examples there are."""
        from ..landscapes.runs.data_digests import data_digest
        from .used_data import used_data

        return {
            **self.size(),
            "data": data_digest(used_data(self.settings.data, resources)),
            "device": resources.device,
        }

    def made_with(self, resources: Resources) -> Provenance:
        """Networks in float32, one thread for each run."""
        import torch

        from ..ground.records import provenance

        with one_thread():
            return provenance(resources.device, torch.float32)

    def measured(
        self, measure: Measure, resources: Resources, progress: Progress, more: Sequence[Any] = ()
    ) -> dict[str, list[Any]]:
        """What each run was found to be, by network: a list over seeds; runs that are kept are not made again."""
        runs, code = self.runs(), _code(measure)
        tasks = [
            (self._path(measure, each, resources), code, measure, each, self._drawn(resources, each), *rest)
            for each in runs
            for rest in [(resources.device, self.examples, tuple(more))]
        ]
        found: dict[str, list[Any]] = {model: [] for model in self.models}
        done = in_workers(_kept, tasks, max(1, min(resources.jobs, len(tasks))))
        for count, (each, record) in enumerate(zip(runs, done, strict=True), start=1):
            found[each.model].append(record)
            progress(count, len(runs))
        return found

    def planned(
        self, measure: Measure, resources: Resources, measurements: int, more: Sequence[Any] = ()
    ) -> list[PlannedRun]:
        """The runs for :meth:`Item.planned`, each with so many measured top eigenpairs."""
        code = _code(measure)

        def plan(run: "TrainSettings") -> PlannedRun:
            def done() -> bool:
                asked = _asked(run, self._drawn(resources, run), resources.device, self.examples, tuple(more))
                return is_kept(self._path(measure, run, resources), code, asked)

            return planned_run(f"Eigen-SAM, {run.model}, seed {run.seed}", run, resources, done, measurements)

        return [plan(each) for each in self.runs()]

    def planned_steps(self, resources: Resources) -> set[int]:
        """How many steps the trainings take."""
        return {
            each.epochs * (len(self._drawn(resources, each).train_targets) // each.batch_size) for each in self.runs()
        }

    def _path(self, measure: Measure, settings: "TrainSettings", resources: Resources) -> Path:
        name = f"{settings.data}-{settings.model}-seed{settings.seed}.json"
        return resources.out / "runs" / measure.__module__.rpartition(".")[2] / name

    def _drawn(self, resources: Resources, settings: "TrainSettings") -> "DataSet":
        """What a run is trained on."""
        from ..optim.training.training_examples import TrainingExamples
        from .used_data import used_data

        data = TrainingExamples.draw(settings, used_data(self.settings.data, resources)).data
        if self.examples > len(data.train_targets):
            raise InputError(f"examples = {self.examples}, and {len(data.train_targets)} are trained on; ask for fewer")
        return data


def _code(measure: Measure) -> str:
    return result_key(None, measure.__module__)


def _asked(
    settings: "TrainSettings", data: "DataSet", device: str, examples: int, more: tuple[Any, ...]
) -> dict[str, Any]:
    from ..landscapes.runs.data_digests import data_digest

    asked = {"settings": settings.to_dict(), "data": data_digest(data), "device": device, "examples": examples}
    return {**asked, "more": [list(each) if isinstance(each, tuple) else each for each in more]}


def _kept(
    path: Path,
    code: str,
    measure: Measure,
    settings: "TrainSettings",
    data: "DataSet",
    device: str,
    examples: int,
    more: tuple[Any, ...],
) -> Any:
    asked = _asked(settings, data, device, examples, more)
    try:
        return kept_record(path, code, asked, lambda: measure(settings, data, device, examples, *more))
    except InputError as error:
        raise InputError(f"Eigen-SAM, {settings.model}, seed {settings.seed}: {error}") from None
