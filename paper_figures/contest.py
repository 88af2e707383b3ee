"""Optimizers beside one another: the same training data, the same number of settings to choose from, the same seeds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..ground.errors import InputError
from ..landscapes.runs.build import build_model
from ..optim.method import Method
from ..optim.training.settings import TrainSettings
from .item import Progress
from .planned_run import PlannedRun
from .resources import Resources
from .training_runs import measured_rows, planned_runs, run_directories, train_runs
from .used_data import used_data

__all__ = ["Choice", "Competitor", "Contest"]

Choice = tuple[Method, float]
"""Settings of a method, and a learning rate."""

_TUNING_SEED = 1000  # of none of the runs that are compared


@dataclass(frozen=True)
class Competitor:
    """An optimizer, and what it may choose from.

    Attributes:
        name: in tables.
        choices: settings of the method with a learning rate each.
        after: another competitor, which comes before and whose chosen radius and learning rate it takes: then the two
            differ in nothing but the method.
    """

    name: str
    choices: tuple[Choice, ...]
    after: str = ""

    def given(self, chosen: Mapping[str, Choice]) -> "Competitor":
        """With the other's radius and learning rate."""
        if not self.after:
            return self
        method, lr = chosen[self.after]
        choices = tuple((replace(each, rho=method.rho), lr) for each, _ in self.choices)  # type: ignore[attr-defined, type-var]
        return replace(self, choices=choices, after="")

    def every(self, competitors: "Mapping[str, Competitor]") -> "list[Competitor]":
        """As it may turn out to be, by what the other may choose."""
        if not self.after:
            return [self]
        return [self.given({self.after: choice}) for choice in competitors[self.after].choices]


@dataclass(frozen=True)
class Contest:
    """One network on one data set, trained by several optimizers.

    Every optimizer has equally many choices. One run of each, with a seed of its own, trains without the share of the
    training set that is kept for validation; the choice with the best validation accuracy (of equal ones that with the
    smaller validation loss) is trained anew, on the whole training set, from each seed. A choice that diverges is not
    taken.

    Attributes:
        settings: shared by all, but for method, learning rate, seed and validation.
        competitors: the optimizers.
        seeds: of the runs that are compared.
        validation_fraction: of the training set, while choosing.

    Raises:
        InputError: no competitor or seed, numbers of choices that differ.

    Example:
        >>> from eigensam.optim import SAMSettings, SGDSettings
        >>> sgd, sam = Competitor("SGD", ((SGDSettings(), 0.1),)), Competitor("SAM", ((SAMSettings(), 0.1),))
        >>> contest = Contest(TrainSettings(epochs=1), (sgd, sam), seeds=(0, 1))
        >>> len(contest.tuning(sgd)), [run.seed for run in contest.compared(sam, 0)]
        (0, [0, 1])
    """

    settings: TrainSettings
    competitors: tuple[Competitor, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    validation_fraction: float = 0.1

    def __post_init__(self) -> None:
        counts = {each.name: len(each.choices) for each in self.competitors}
        before = set[str]()
        for each in self.competitors:
            if each.after and (each.after not in before or self._by_name[each.after].after):
                raise InputError(f"{each.name} comes after {each.after}, which is none that comes before and is free")
            before.add(each.name)
        if _TUNING_SEED in self.seeds:
            raise InputError(f"seed {_TUNING_SEED} is that of the runs that choose; give others")
        if (
            not counts
            or not self.seeds
            or len(counts) < len(self.competitors)
            or len(set(self.seeds)) < len(self.seeds)
        ):
            raise InputError(f"{list(counts)}, seeds {list(self.seeds)}: give at least one of both, and each once")
        if len(set(counts.values())) > 1 or not min(counts.values()):
            raise InputError(f"choices: {counts}; a fair comparison gives each optimizer equally many, at least one")

    @property
    def choices(self) -> int:
        """How many each optimizer has."""
        return len(self.competitors[0].choices)

    def with_seeds(self, count: int) -> "Contest":
        """The same over so many seeds."""
        return replace(self, seeds=tuple(range(count)))

    def _run(self, choice: Choice, seed: int, validation: float = 0.0) -> TrainSettings:
        method, lr = choice
        return replace(self.settings, optimizer=method, lr=lr, seed=seed, validation_fraction=validation)

    def tuning(self, competitor: Competitor) -> list[TrainSettings]:
        """The runs that choose; none where there is nothing to choose."""
        chosen_from = competitor.choices if self.choices > 1 else ()
        return [self._run(each, _TUNING_SEED, self.validation_fraction) for each in chosen_from]

    def compared(self, competitor: Competitor, choice: int) -> list[TrainSettings]:
        """The runs that are compared, of one choice."""
        return [self._run(competitor.choices[choice], seed) for seed in self.seeds]

    @property
    def _by_name(self) -> dict[str, Competitor]:
        return {each.name: each for each in self.competitors}

    def planned(self, resources: Resources) -> list[PlannedRun]:
        """What training takes; of what depends on a choice that is not made yet the first possibility counts."""
        runs = []
        for each in self.competitors:
            every = each.every(self._by_name)
            tuning = [planned_runs(self.tuning(one), resources) for one in every]
            runs += [replace(run, label=f"{run.label} (choosing)") for run in max(tuning, key=_done)]
            compared = [self.compared(one, choice) for one in every for choice in range(self.choices)]
            runs += max((planned_runs(found, resources) for found in compared), key=_done)
        return runs

    def key(self, resources: Resources) -> dict[str, Any]:
        """The folders of all runs that there may be."""
        found = {}
        for each in self.competitors:
            runs: list[TrainSettings] = []
            for one in each.every(self._by_name):
                runs += [*self.tuning(one), *(run for c in range(self.choices) for run in self.compared(one, c))]
            found[each.name] = [path.name for path in run_directories(runs, resources).values()]
        return found

    def measure(self, resources: Resources, progress: Progress) -> dict[str, Any]:
        """Choose, train, and read what was measured.

        Returns:
            ``model``, ``data``, ``examples``, ``parameters``, ``settings``, ``validation_fraction``; of each of
            ``optimizers`` its ``name``, ``choices`` with their validation accuracy, ``chosen`` among them, and as a
            group of a sweep ``settings`` and ``seeds``.

        Raises:
            InputError: every choice of an optimizer has failed.
        """
        each_tunes = self.choices if self.choices > 1 else 0
        total, before = len(self.competitors) * (each_tunes + len(self.seeds)), 0
        failed: dict[TrainSettings, str] = {}

        def trained(runs: Sequence[TrainSettings]) -> None:
            nonlocal before
            failed.update(train_runs(runs, resources, lambda done, _: progress(before + done, total)))
            before += len(runs)

        competitors: list[Competitor] = []
        chosen: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        free = [each for each in self.competitors if not each.after]
        for group in (free, [each for each in self.competitors if each.after]):  # side by side, as far as that goes
            taken = {each.name: each.choices[chosen[each.name][0]] for each in competitors}
            given = [each.given(taken) for each in group]
            trained([run for each in given for run in self.tuning(each)])
            chosen |= {each.name: self._choose(each, failed, resources) for each in given}
            competitors += given
        competitors.sort(key=lambda each: list(self._by_name).index(each.name))
        trained([run for each in competitors for run in self.compared(each, chosen[each.name][0])])
        data = used_data(self.settings.data, resources)
        model = build_model(self.settings.model, data.shape, data.classes)
        return {
            "model": self.settings.model,
            "data": self.settings.data,
            "examples": self.settings.subset or len(data.train_targets),
            "parameters": sum(p.numel() for p in model.parameters()),
            "settings": self.settings.to_dict(),
            "validation_fraction": self.validation_fraction,
            "optimizers": [
                {
                    "name": each.name,
                    "choices": chosen[each.name][1],
                    "chosen": chosen[each.name][0],
                    **self._group(each, chosen[each.name][0], failed, resources),
                }
                for each in competitors
            ],
        }

    def _choose(
        self, competitor: Competitor, failed: dict[TrainSettings, str], resources: Resources
    ) -> tuple[int, list[dict[str, Any]]]:
        found: list[dict[str, Any]] = []
        ranks: list[tuple[float, float]] = []
        directories = run_directories(self.tuning(competitor), resources)
        runs: list[TrainSettings | None] = [*self.tuning(competitor)] or [None]
        for run, (method, lr) in zip(runs, competitor.choices, strict=True):
            said = {"optimizer": method.to_dict(), "lr": lr}
            if run is None:
                ranks.append((0.0, 0.0))
            elif run in failed:
                said["failed"] = failed[run]
                ranks.append((-math.inf, 0.0))
            else:
                row = measured_rows(directories[run])[-1]
                said |= {name: row[name] for name in ("validation_accuracy", "validation_loss")}
                ranks.append((row["validation_accuracy"], -row["validation_loss"]))
            found.append(said)
        best = max(range(len(ranks)), key=ranks.__getitem__)
        if ranks[best][0] == -math.inf:
            raise InputError(f"every choice of {competitor.name} failed; the first: {found[0]['failed']}")
        return best, found

    def _group(
        self, competitor: Competitor, choice: int, failed: dict[TrainSettings, str], resources: Resources
    ) -> dict[str, Any]:
        runs = self.compared(competitor, choice)
        directories = run_directories(runs, resources)
        seeds: Sequence[dict[str, Any]] = [
            {"seed": run.seed, **({"failed": failed[run]} if run in failed else {"rows": _last_row(directories[run])})}
            for run in runs
        ]
        return {"settings": runs[0].to_dict(), "seeds": seeds}


def _last_row(directory: Any) -> list[dict[str, Any]]:
    return measured_rows(directory)[-1:]


def _done(runs: Iterable[PlannedRun]) -> int:
    return sum(run.done for run in runs)
