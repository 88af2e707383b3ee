"""An item that is made of a sweep of trainings."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..ground.result_store import Provenance
from .item import Item, Progress
from .planned_run import PlannedRun
from .resources import Resources

if TYPE_CHECKING:
    from .sweep import Group, Sweep

__all__ = ["SweepItem"]


class SweepItem(Item):
    """Shared by all items with a field ``sweep``: what is measured is a list of groups of runs."""

    sweep: "Sweep"

    def with_seeds(self, count: int) -> "SweepItem":
        """The same over so many seeds."""
        return replace(self, sweep=self.sweep.with_seeds(count))  # type: ignore[type-var]

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there."""
        self.sweep.key(resources)

    def size(self) -> dict[str, Any]:
        """What all runs share, and what varies."""
        return self.sweep.size()

    def key(self, resources: Resources) -> Any:
        """The folders of all runs."""
        return self.sweep.key(resources)

    def planned(self, resources: Resources) -> list[PlannedRun]:
        """All runs."""
        return self.sweep.planned(resources)

    def made_with(self, resources: Resources) -> Provenance:
        """What the runs were made with."""
        from .training_runs import made_with, run_directories

        return made_with(run_directories(self.sweep.runs(), resources).values())

    def measure(self, resources: Resources, progress: Progress) -> "list[Group]":
        """Metrics of every run; runs that are there already are reused."""
        return self.sweep.measure(resources, progress)

    def failures(self, result: "list[Group]") -> list[str]:
        """Runs that failed."""
        from .sweep_words import failures

        return failures(result)

    def notes(self, result: "list[Group]") -> list[str]:
        """What every optimizer was given, and runs that failed."""
        from .sweep_words import shared_budget

        return [shared_budget(result), *self.failures(result)]
