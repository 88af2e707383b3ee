"""The training runs that Figure 1 and the bounds look at: one per optimizer and seed, each done once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..ground.errors import InputError
from ..ground.result_store import Provenance
from ..landscapes.runs.data_set import DataSet
from ..optim.method import Method
from ..optim.methods.eigen_sam import EigenSAMSettings
from ..optim.methods.sam import SAMSettings
from ..optim.methods.sgd import SGDSettings
from ..optim.training.settings import TrainSettings
from .item import Progress
from .planned_run import PlannedRun
from .resources import Resources
from .training_runs import made_with, planned_runs, run_directories, run_label, train_runs
from .used_data import used_data

__all__ = ["Trainings"]


_AS_IN_THE_PAPER = EigenSAMSettings(solver="power", guard=0.0)  # its Algorithm 1


@dataclass(frozen=True)
class Trainings:
    """Runs that share everything but optimizer and seed.

    Attributes:
        settings: shared by all.
        seeds: bands are over them.
        optimizers: in the order of the picture (the paper's Figure 1).
    """

    settings: TrainSettings
    seeds: tuple[int, ...]
    optimizers: tuple[Method, ...] = (SGDSettings(), SAMSettings(), _AS_IN_THE_PAPER)

    @classmethod
    def quick(cls) -> "Trainings":
        """Digits and a small network.

        Ours: runs of 660 steps, so the eigenvector is refreshed every 10 steps instead of every 100.
        """
        settings = TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=5)
        optimizers = (SGDSettings(), SAMSettings(), replace(_AS_IN_THE_PAPER, refresh_every=10))
        return cls(settings, seeds=(0, 1, 2, 3, 4), optimizers=optimizers)

    def runs(self) -> list[TrainSettings]:
        """One training per optimizer and seed."""
        return [replace(self.settings, optimizer=each, seed=seed) for each in self.optimizers for seed in self.seeds]

    def size(self) -> dict[str, Any]:
        """What all runs share, and the seeds, for the report."""
        settings = self.settings.to_dict()
        shared = {name: value for name, value in settings.items() if name not in ("optimizer", "seed")}
        shared |= {name: ", ".join(filter(None, (settings[name]["name"], _listed(settings[name])))) for name in _GROUPS}
        own = {each.label: _listed(each.to_dict()) for each in self.optimizers if len(each.to_dict()) > 1}
        return {**shared, **own, "seeds": list(self.seeds)}

    def data(self, resources: Resources) -> DataSet:
        """The data set, loaded once.

        Raises:
            InputError: it is not there.
        """
        return used_data(self.settings.data, resources)

    def directories(self, resources: Resources) -> dict[TrainSettings, Path]:
        """Where each run lives; the name carries the hash of all that the run depends on."""
        return run_directories(self.runs(), resources)

    def key(self, resources: Resources) -> dict[str, Any]:
        """The settings of each run by its folder, whose name is a hash of all else."""
        return {path.name: settings.to_dict() for settings, path in self.directories(resources).items()}

    def first_seed(self, resources: Resources) -> dict[str, Path]:
        """One run per optimizer, of the first seed."""
        first = min(self.seeds)
        return {each.method.name: path for each, path in self.directories(resources).items() if each.seed == first}

    def planned(self, resources: Resources) -> list[PlannedRun]:
        """What training them takes."""
        return planned_runs(self.runs(), resources)

    def train(self, resources: Resources, progress: Progress, runs: Sequence[Path] | None = None) -> None:
        """Train what is not there yet: all runs, or some.

        Raises:
            InputError: runs that failed, and why; the others are there.
        """
        wanted = [s for s, path in self.directories(resources).items() if runs is None or path in runs]
        if failed := train_runs(wanted, resources, progress):
            reasons = "; ".join(f"{run_label(settings)}: {reason}" for settings, reason in failed.items())
            raise InputError(f"{len(failed)} of {len(wanted)} trainings failed, the others are kept: {reasons}")

    def made_with(self, resources: Resources) -> Provenance:
        """What the runs were made with, as their own files say; where they differ, every value."""
        return made_with(self.directories(resources).values())


_GROUPS = ("base", "schedule")


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items() if name != "name")
