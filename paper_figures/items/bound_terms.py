"""The terms of Theorem 4.1 at the trained points of SGD, SAM and Eigen-SAM."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, new_figure, panels_are_stacked
from ...ground.result_store import Provenance, single_threaded
from ..item import Claim, Item, Progress, Table
from ..optimizer_names import label
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...landscapes.runs.data_set import DataSet
    from ..planned_run import PlannedRun
    from ..trainings import Trainings

__all__ = ["BoundTerms"]

Bounds = dict[str, dict[str, Any]]
"""A bound as a dictionary, by optimizer."""


def _quick() -> "Trainings":
    from ..trainings import Trainings

    return Trainings.quick()


def _bound_one(directory: Path, data: "DataSet", device: str) -> dict[str, Any]:
    from ...bounds.families.theorem41 import Theorem41

    # The figure has terms only; `eigensam bound` measures what is beside them.
    bound = Theorem41(draws=2, gradients=2, probes=4, top=1, random_directions=2)
    return bound.bound(directory, data, device=device).to_dict()


@ITEMS.register("bound_terms", order=3)
@dataclass(frozen=True)
class BoundTerms(Item):
    """Theorem 4.1 for the first seed of every optimizer.

    Attributes:
        trainings: whose trained points are bounded.
    """

    label = "Theorem 4.1"
    title = "The terms of Theorem 4.1"
    narrow = True
    trainings: "Trainings" = field(default_factory=_quick)

    def with_seeds(self, count: int) -> "BoundTerms":
        """The same trainings as those of Figure 1; the first seed is bounded."""
        return replace(self, trainings=replace(self.trainings, seeds=tuple(range(count))))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there."""
        self.trainings.directories(resources)

    def size(self) -> dict[str, Any]:
        """What the trainings share."""
        return {**self.trainings.size(), "seeds": [min(self.trainings.seeds)]}

    def key(self, resources: Resources) -> Any:
        """Every run."""
        return self.trainings.key(resources)

    def planned(self, resources: Resources) -> "list[PlannedRun]":
        """The run of the first seed of every optimizer."""
        first = min(self.trainings.seeds)
        return [run for run in self.trainings.planned(resources) if run.settings.seed == first]

    def made_with(self, resources: Resources) -> Provenance:
        """float64, on the device of the trainings."""
        return single_threaded(resources.device)

    def measure(self, resources: Resources, progress: Progress) -> Bounds:
        """One bound per optimizer; runs that are not there are trained first.

        In processes of one thread each: with more, sums are added in another order, which sigma, the minimum of a flat
        function, magnifies to differences of 1e-9.
        """
        from ...ground.workers import in_workers

        runs = self.trainings.first_seed(resources)
        self.trainings.train(resources, progress, list(runs.values()))
        tasks = [(path, self.trainings.data(resources), resources.device) for path in runs.values()]
        results = {}
        for optimizer, found in zip(runs, in_workers(_bound_one, tasks, min(resources.jobs, len(runs))), strict=True):
            results[optimizer] = found
            progress(len(results), len(runs))
        return results

    def plot(self, result: Bounds) -> "Figure":
        """Every term of every network on a log scale (they differ by orders of magnitude), and the loss's own bound."""
        figure = new_figure(1)
        if not panels_are_stacked():
            figure.set_size_inches(6.4, 3.4)
        (axes,) = figure.axes
        terms = next(iter(result.values()))["terms"]
        for index, (name, bound) in enumerate(result.items()):
            values = [*(term["value"] for term in bound["terms"]), bound["bound"]]
            positions = [i + 0.16 * (index - (len(result) - 1) / 2) for i in range(len(values))]
            style = {**LINES[index], "linestyle": "none", "markersize": 7}
            axes.plot(positions, values, label=label(name), **style)
        axes.axhline(1.0, color="black", linestyle=":", linewidth=1, label="vacuous from here")
        axes.set_yscale("log")
        labels = [f"{term['name']}\n({term['kind']})" for term in terms]
        axes.set_xticks(
            range(len(labels) + 1), [*labels, "sum\n(estimate)"], fontsize=7 if panels_are_stacked() else None
        )
        axes.set_ylabel("value (loss lies in [0, 1])")
        axes.set_title(r"terms of Theorem 4.1, $\delta$ = " + f"{next(iter(result.values()))['delta']:g}")
        axes.grid(visible=False, axis="x")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        return figure

    def claims(self, result: Bounds) -> list[Claim]:
        """Whether each bound is vacuous."""
        smallest = min(bound["bound"] for bound in result.values())
        vacuous = sum(bound["bound"] >= 1 for bound in result.values())
        return [
            Claim(
                "Theorem 4.1 is vacuous for over-parameterised networks",
                "agreed by the authors in the public review",
                f"vacuous for {vacuous} of {len(result)} networks",
                decide(
                    vacuous == len(result),
                    f"{vacuous} of {len(result)} bounds are at least 1, the smallest {smallest:.3g}",
                ),
            )
        ]

    def caption(self, result: Bounds) -> str:
        """Which points, and what their posterior is."""
        return (
            "Summands at the trained points of the first seed, log scale. The posterior's σ is chosen anew for each "
            "network, so a flatter one gets a wider posterior rather than a smaller curvature term; λ₁ here is that of "
            "the bounded loss."
        )

    def tables(self, result: Bounds) -> list[Table]:
        """Every term, sigma, lambda_1 and both forms of the bound."""
        terms = [f"{term['name']}\n({term['kind']})" for term in next(iter(result.values()))["terms"]]
        header = ["optimizer", *terms, "σ", "λ₁", "sum", "kl inverse", "verdict"]
        rows = [
            [
                label(name),
                *(f"{term['value']:.3g}" for term in bound["terms"]),
                f"{bound['details']['sigma']:.2g}",
                f"{bound['details']['lambda_1']:.2g}",
                f"{bound['bound']:.3g}",
                f"{bound['bound_kl']:.3g}",
                f"{bound['kind']}, {'vacuous' if bound['vacuous'] else 'not vacuous'}",
            ]
            for name, bound in result.items()
        ]
        return [Table(header, rows, right=range(1, len(header) - 1))]

    def notes(self, result: Bounds) -> list[str]:
        """Confidence and assumptions."""
        first = next(iter(result.values()))
        return [f"Assumptions, δ = {first['delta']}:", *first["assumptions"]]
