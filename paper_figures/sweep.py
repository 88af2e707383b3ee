"""Trainings that differ in one thing, each over the same seeds; and what was measured of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..ground.errors import InputError
from ..ground.intervals import Interval
from ..optim.training.settings import TrainSettings
from .item import Progress
from .planned_run import PlannedRun
from .resources import Resources
from .seed_mean import seed_mean
from .training_runs import measured_rows, planned_runs, run_directories, train_runs
from .used_data import used_data

__all__ = ["Group", "Sweep", "curve", "last", "paired_differences", "paired_last", "shared_settings"]

Group = dict[str, Any]
"""What was measured of the runs of one name: ``name``, ``settings``, and of each seed its ``rows`` or why it
``failed``."""


@dataclass(frozen=True)
class Sweep:
    """Groups of runs; run ``i`` of all groups has the same seed, so the same start and minibatches.

    Attributes:
        groups: settings by name, whose seed is replaced.
        seeds: of each group.

    Raises:
        InputError: no group, no seed, or one of them twice.

    Example:
        >>> from eigensam.optim import SAMSettings, TrainSettings
        >>> sweep = Sweep.over({f"{rho:g}": TrainSettings(SAMSettings(rho=rho)) for rho in (0.05, 0.1)}, seeds=(0, 1))
        >>> [(run.method.rho, run.seed) for run in sweep.runs()]
        [(0.05, 0), (0.05, 1), (0.1, 0), (0.1, 1)]
    """

    groups: tuple[tuple[str, TrainSettings], ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        names = [name for name, _ in self.groups]
        if not names or not self.seeds or len(set(names)) < len(names) or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"groups {names}, seeds {list(self.seeds)}: give at least one of both, and each once")

    @classmethod
    def over(cls, groups: Mapping[str, TrainSettings], seeds: Sequence[int] = (0, 1, 2, 3, 4)) -> "Sweep":
        """The same of a mapping."""
        return cls(tuple(groups.items()), tuple(seeds))

    def with_seeds(self, count: int) -> "Sweep":
        """The same over so many seeds."""
        return replace(self, seeds=tuple(range(count)))

    def of(self, name: str) -> list[TrainSettings]:
        """The runs of a group."""
        return [replace(dict(self.groups)[name], seed=seed) for seed in self.seeds]

    def runs(self) -> list[TrainSettings]:
        """All of them."""
        return [run for name, _ in self.groups for run in self.of(name)]

    def planned(self, resources: Resources) -> list[PlannedRun]:
        """What training them takes."""
        return planned_runs(self.runs(), resources)

    def key(self, resources: Resources) -> dict[str, Any]:
        """The folder of each run, whose name is a hash of all that it depends on."""
        found = run_directories(self.runs(), resources)
        return {name: [found[run].name for run in self.of(name)] for name, _ in self.groups}

    def measure(self, resources: Resources, progress: Progress) -> list[Group]:
        """Metrics of every run; those that are there already are read, those that fail say why.

        Raises:
            InputError: all have failed.
        """
        runs = list(dict.fromkeys(self.runs()))
        failed = train_runs(runs, resources, progress)
        if len(failed) == len(runs):
            raise InputError(f"all {len(runs)} trainings failed; the first: {next(iter(failed.values()))}")
        directories = run_directories(runs, resources)
        data = {settings.data: used_data(settings.data, resources) for _, settings in self.groups}
        found = []
        for name, settings in self.groups:
            seeds: list[dict[str, Any]] = []
            for run in self.of(name):
                measured = {"failed": failed[run]} if run in failed else {"rows": measured_rows(directories[run])}
                seeds.append({"seed": run.seed, **measured})
            examples = settings.subset or len(data[settings.data].train_targets)
            found.append({"name": name, "settings": settings.to_dict(), "examples": examples, "seeds": seeds})
        return found

    def size(self) -> dict[str, Any]:
        """What all runs share, what each group has of its own, and the seeds."""
        return {**shared_settings([settings.to_dict() for _, settings in self.groups]), "seeds": list(self.seeds)}


def shared_settings(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of many settings one line for each entry: its value, or all values it takes; the seed is left out.

    Example:
        >>> shared_settings([{"lr": 0.1, "rate": {"name": "a"}, "seed": 0}, {"lr": 0.2, "rate": {"name": "a"}}])
        {'lr': '0.1 or 0.2', 'rate': 'a'}
    """
    names = dict.fromkeys(name for settings in each for name in settings if name != "seed")
    return {
        name: " or ".join(dict.fromkeys(_words(settings[name]) for settings in each if name in settings))
        for name in names
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join([str(value["name"]), *(f"{name} {one}" for name, one in value.items() if name != "name")])
    return f"{value:g}" if isinstance(value, float) else str(value)


def last(group: Group, key: str, scale: float = 1.0) -> Interval:
    """Mean over seeds of a metric after the last epoch; NaN where no run has it."""
    values = list(_last(group, key).values())
    return seed_mean([scale * value for value in values]) if values else Interval(math.nan, math.nan)


def paired_last(over: Group, under: Group, key: str, *, ratio: bool = False, scale: float = 1.0) -> Interval:
    """Mean over seeds of the difference, or the ratio, of two groups' last metrics; seeds that both have count.

    Example:
        >>> a, b = ({"seeds": [{"seed": i, "rows": [{"x": f * (i + 1)}]} for i in range(3)]} for f in (2.0, 1.0))
        >>> paired_last(a, b, "x", ratio=True).mean, paired_last(a, b, "x").mean
        (2.0, 2.0)
    """
    found = paired_differences(over, under, key, ratio=ratio, scale=scale)
    return seed_mean(found) if found else Interval(math.nan, math.nan)


def paired_differences(over: Group, under: Group, key: str, *, ratio: bool = False, scale: float = 1.0) -> list[float]:
    """Seed by seed the difference, or the ratio, of two groups' last metrics; of seeds that both have."""
    return list(differences_by_seed(over, under, key, ratio=ratio, scale=scale).values())


def differences_by_seed(
    over: Group, under: Group, key: str, *, ratio: bool = False, scale: float = 1.0
) -> dict[int, float]:
    """The same, with the seeds."""
    first, second = _last(over, key), _last(under, key)
    both = [seed for seed in first if seed in second and (second[seed] or not ratio)]
    return {s: first[s] / second[s] if ratio else scale * (first[s] - second[s]) for s in both}


def _last(group: Group, key: str) -> dict[int, float]:
    rows = {each["seed"]: each["rows"][-1] for each in group["seeds"] if "rows" in each}
    return {seed: float(row[key]) for seed, row in rows.items() if row.get(key) is not None}


def curve(group: Group, key: str, scale: Callable[[float], float] = float) -> tuple[list[int], list[Interval]]:
    """Epochs, and the mean over seeds of a metric, or of a function of it, in each that all of them have it in."""
    runs = [{row["epoch"]: row[key] for row in each["rows"] if key in row} for each in group["seeds"] if "rows" in each]
    epochs = sorted(set.intersection(*(set(run) for run in runs))) if runs else []
    return epochs, [seed_mean([scale(run[epoch]) for run in runs]) for epoch in epochs]
