"""Figure 1 of the paper: alignment and top eigenvalue along training, averaged over seeds."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...ground.intervals import Interval
from ...ground.pictures import LINES, new_figure
from ...ground.result_store import Provenance
from ..item import Claim, Item, Progress, Table
from ..optimizer_names import label
from ..registry import ITEMS
from ..resources import Resources
from ..seed_mean import NO_INTERVAL, has_interval, seed_mean, with_spread
from ..verdict import below

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..planned_run import PlannedRun
    from ..trainings import Trainings

__all__ = ["Figure1", "Metrics", "ratios"]

Metrics = dict[str, list[list[dict[str, Any]]]]
"""Rows of metrics, ``{optimizer: [seed][epoch]}``."""

_POOR = 0.5
"""Ours: an alignment below is called poor."""


def _quick() -> "Trainings":
    from ..trainings import Trainings

    return Trainings.quick()


@ITEMS.register("figure1", order=2)
@dataclass(frozen=True)
class Figure1(Item):
    """Alignment and lambda_1, means over seeds with bands.

    Attributes:
        trainings: what is trained.
    """

    label = "Figure 1"
    title = "Figure 1: alignment and top eigenvalue along training"
    in_the_paper = True
    trainings: "Trainings" = field(default_factory=_quick)

    def with_seeds(self, count: int) -> "Figure1":
        """Train from so many seeds."""
        return replace(self, trainings=replace(self.trainings, seeds=tuple(range(count))))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there."""
        self.trainings.directories(resources)

    def size(self) -> dict[str, Any]:
        """What the trainings share."""
        return self.trainings.size()

    def key(self, resources: Resources) -> Any:
        """Every run."""
        return self.trainings.key(resources)

    def planned(self, resources: Resources) -> "list[PlannedRun]":
        """All runs."""
        return self.trainings.planned(resources)

    def made_with(self, resources: Resources) -> Provenance:
        """What the runs were made with."""
        return self.trainings.made_with(resources)

    def measure(self, resources: Resources, progress: Progress) -> Metrics:
        """Metrics of every run; runs that are there already are reused."""
        from ..training_runs import measured_rows

        self.trainings.train(resources, progress)
        runs = self.trainings.directories(resources)
        return {
            each.name: [measured_rows(path) for settings, path in runs.items() if settings.method == each]
            for each in self.trainings.optimizers
        }

    def plot(self, result: Metrics) -> "Figure":
        """(a) alignment, (b) lambda_1, means over seeds with 95 % bands."""
        from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

        figure = new_figure(2)
        panels = (
            ("alignment", r"alignment $|\langle u, v_1\rangle|$", "(a) perturbation-eigenvector alignment"),
            ("lambda_1", r"top eigenvalue $\lambda_1$", "(b) top Hessian eigenvalue"),
        )
        for axes, (key, axis, title) in zip(figure.axes, panels, strict=True):
            banded = True
            for (name, runs), line in zip(result.items(), LINES, strict=True):
                epochs, intervals = _series(runs, key)
                axes.plot(epochs, [i.mean for i in intervals], label=label(name), **line)
                banded = banded and all(map(has_interval, intervals))
                if banded:
                    low, high = [i.low for i in intervals], [i.high for i in intervals]
                    axes.fill_between(epochs, low, high, color=line["color"], alpha=0.18, lw=0)
            axes.set_xlabel("epoch")
            axes.set_ylabel(axis)
            axes.set_title(title)
            axes.legend(frameon=False, title=None if banded else NO_INTERVAL)
        figure.axes[0].set_ylim(0, 1)
        figure.axes[1].set_yscale("log")
        figure.axes[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        figure.axes[1].yaxis.set_major_formatter(ScalarFormatter())
        figure.axes[1].yaxis.set_minor_formatter(NullFormatter())  # within a decade its labels lie on the major ones
        return figure

    def claims(self, result: Metrics) -> list[Claim]:
        """Ratios of the last top eigenvalues, seed by seed, and SAM's last alignment."""
        stated = (("sam", "sgd", "below 1"), ("eigen-sam", "sam", "0.82 to 0.90, other networks and data"))
        rows = []
        for over, under, paper in stated:
            if over in result and under in result:
                ratio = seed_mean(ratios(result, "lambda_1", over, under))
                rows.append(
                    Claim(
                        f"{label(over)} ends with a smaller top eigenvalue than {label(under)}",
                        f"ratio {paper}",
                        f"ratio {with_spread(ratio, 3)} ({_seeds(result, 'paired ')})",
                        below(ratio, 1, "ratio of λ₁, 95 % interval"),
                    )
                )
        if "sam" in result:
            aligned = seed_mean([run[-1]["alignment"] for run in result["sam"]])
            rows.append(
                Claim(
                    "SAM's perturbation is poorly aligned with the top eigenvector",
                    "poor alignment; we call it poor below 0.5 (a random direction has about 1/sqrt(d))",
                    f"{with_spread(aligned, 2)} at the last epoch ({_seeds(result)})",
                    below(aligned, _POOR, "alignment, 95 % interval, poor below 0.5 (ours)", 2),
                )
            )
        return rows

    def caption(self, result: Metrics) -> str:
        """What the curves, bands and alignments are."""
        count = _count(result)
        means = f"Means over {count} seeds with 95 % bands." if count > 1 else "One run each (one seed: no bands)."
        return (
            f"{means} Alignment of each optimizer's own perturbation (SGD: of its gradient) with the top eigenvector "
            "of the training loss's Hessian, averaged over minibatches."
        )

    def tables(self, result: Metrics) -> list[Table]:
        """Accuracy, losses, lambda_1 and alignment at the last epoch."""
        columns = {
            "test accuracy, %": ("test_accuracy", 100, 2),
            "test loss": ("test_loss", 1, 4),
            "train loss": ("train_loss", 1, 4),
            "λ₁": ("lambda_1", 1, 3),
            "alignment": ("alignment", 1, 2),
        }
        rows = [
            [
                label(name),
                *(
                    with_spread(seed_mean([run[-1][key] * scale for run in runs]), digits)
                    for key, scale, digits in columns.values()
                ),
            ]
            for name, runs in result.items()
        ]
        spread = "mean ± half width of the 95 % interval over seeds" if _count(result) > 1 else NO_INTERVAL
        return [Table(["optimizer", *columns], rows, right=range(1, 6), note=f"Last epoch, {spread}.")]


def ratios(metrics: Metrics, key: str, over: str, under: str) -> list[float]:
    """Last-epoch ratio ``over / under`` of a metric, seed by seed (same initialisation and minibatches)."""
    return [a[-1][key] / b[-1][key] for a, b in zip(metrics[over], metrics[under], strict=True)]


def _series(runs: list[list[dict[str, Any]]], key: str) -> tuple[list[int], list[Interval]]:
    rows = list(zip(*[[row for row in run if key in row] for run in runs], strict=True))
    return [row[0]["epoch"] for row in rows], [seed_mean([r[key] for r in row]) for row in rows]


def _count(metrics: Metrics) -> int:
    return len(next(iter(metrics.values())))


def _seeds(metrics: Metrics, kind: str = "") -> str:
    count = _count(metrics)
    return f"95 %, {count} {kind}seeds" if count > 1 else NO_INTERVAL
