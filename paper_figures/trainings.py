"""The training runs that Figure 1 and the bounds look at: one per optimizer and seed, each done once."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..ground.fingerprints import fingerprint
from ..ground.records import read_json
from ..ground.result_store import Provenance
from ..ground.workers import in_workers, one_thread
from ..landscapes.runs.data import load_data
from ..landscapes.runs.data_set import DataSet
from ..optim.method import Method
from ..optim.methods.eigen_sam import EigenSAMSettings
from ..optim.methods.sam import SAMSettings
from ..optim.methods.sgd import SGDSettings
from ..optim.training.identity import run_identity
from ..optim.training.settings import TrainSettings
from ..optim.training.train import train
from .item import Progress
from .resources import Resources

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
        settings = TrainSettings(data="digits", model="mlp", epochs=30, spectrum_every=2)
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
        name = self.settings.data
        if ("data", name) not in resources.loaded:
            resources.loaded["data", name] = load_data(name, resources.data_root, download=resources.download)
        found: DataSet = resources.loaded["data", name]
        return found

    def directories(self, resources: Resources) -> dict[TrainSettings, Path]:
        """Where each run lives; the name carries the hash of all that the run depends on."""
        if self not in resources.loaded:
            data, runs = self.data(resources), resources.out / "runs"
            with one_thread():  # as the workers
                keys = {
                    each: fingerprint(each.to_dict(), run_identity(data, resources.device, each))
                    for each in self.runs()
                }
            resources.loaded[self] = {
                each: runs / f"{each.method.name}-seed{each.seed}-{key[:12]}" for each, key in keys.items()
            }
        found: dict[TrainSettings, Path] = resources.loaded[self]
        return found

    def key(self, resources: Resources) -> dict[str, Any]:
        """The settings of each run by its folder, whose name is a hash of all else."""
        return {path.name: settings.to_dict() for settings, path in self.directories(resources).items()}

    def first_seed(self, resources: Resources) -> dict[str, Path]:
        """One run per optimizer, of the first seed."""
        first = min(self.seeds)
        return {each.method.name: path for each, path in self.directories(resources).items() if each.seed == first}

    def train(self, resources: Resources, progress: Progress, runs: Sequence[Path] | None = None) -> None:
        """Train what is not there yet: all runs, or some.

        In processes with one thread each: two workers with one thread beat one with two.
        """
        data, directories = self.data(resources), self.directories(resources)
        wanted = [(s, data, path, resources.device) for s, path in directories.items() if runs is None or path in runs]
        done = in_workers(_train_one, wanted, min(resources.jobs, len(wanted)), ordered=False)
        for count, _ in enumerate(done, start=1):
            progress(count, len(wanted))

    def made_with(self, resources: Resources) -> Provenance:
        """What the runs were made with, as their own files say; where they differ, every value."""
        found = [read_json(path / "checkpoint.json")["made_with"] for path in self.directories(resources).values()]
        result = {}
        for name in found[0]:
            values = list(dict.fromkeys(each.get(name) for each in found))
            result[name] = values[0] if len(values) == 1 else ", ".join(map(str, values))
        return result


_GROUPS = ("base", "schedule")


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items() if name != "name")


def _train_one(settings: TrainSettings, data: DataSet, directory: Path, device: str) -> None:
    if directory.is_dir() and not (directory / "checkpoint.json").is_file():
        shutil.rmtree(directory)  # made by us: the name is a hash
    if not directory.is_dir():
        train(settings, data, directory, device=device, resume=True)
