"""Theorem 4.1 along training, term by term, beside what can be proved of the same networks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...ground.pictures import MANY_LINES, new_figure, panels_are_stacked
from ...ground.result_store import Provenance, single_threaded
from ..item import Claim, Progress, Table
from ..registry import ITEMS
from ..resources import Resources
from ..seed_mean import has_interval
from ..sweep_item import SweepItem
from ..verdict import decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...bounds.families.theorem41 import Theorem41
    from ...optim.method import Method
    from ...optim.training.settings import TrainSettings
    from ..sweep import Group, Sweep

__all__ = ["CertificatesAlong", "snapshot_sweep"]

_TERMS = ("empirical", "curvature", "remainder", "complexity")

_CURVES = {
    "curvature": "curvature term",
    "remainder": "remainder",
    "complexity": "complexity",
    "sum": "sum of Theorem 4.1 (estimate)",
    "certificate": "proved: loss of the network with noise",
    "test_upper": "proved: error of the network, held out",
}
_FALLS = {
    "curvature": "the theorem's reason to lower the top eigenvalue; but the posterior's σ is chosen anew",
    "complexity": "not in the paper",
}
_PROVED = ("certificate", "test_upper")


def snapshot_sweep(
    settings: "TrainSettings", methods: "Sequence[Method] | None" = None, seeds: Sequence[int] = (0, 1, 2, 3, 4)
) -> "Sweep":
    """Optimizers whose networks along training are kept.

    Args:
        settings: shared by all, with ``snapshot_every``.
        methods: the optimizers; default :func:`three_optimizers`.
        seeds: of each.
    """
    from ..sweep import Sweep
    from ..sweep_grid import three_optimizers

    chosen = methods or three_optimizers()
    return Sweep.over({each.label: replace(settings, optimizer=each) for each in chosen}, seeds)


def _quick() -> "Sweep":
    from ...optim.training.settings import TrainSettings

    return snapshot_sweep(TrainSettings(data="digits", model="mlp32", epochs=15, snapshot_every=5))


def _effort() -> "Theorem41":
    from ...bounds.families.theorem41 import Theorem41

    return Theorem41(draws=100, gradients=2, probes=4, top=1, random_directions=2, max_products=20)


@ITEMS.register("certificates_along", order=4)
@dataclass(frozen=True)
class CertificatesAlong(SweepItem):
    """Estimates and certificates at every network that a training has kept.

    Attributes:
        sweep: made by :func:`snapshot_sweep`.
        effort: of each bound, and the delta that the certificates of a run share.
    """

    label = "certificates along training"
    title = "Theorem 4.1 along training, and what can be proved"
    sweep: "Sweep" = field(default_factory=_quick)
    effort: "Theorem41" = field(default_factory=_effort)

    def size(self) -> dict[str, Any]:
        """The trainings', and the effort of the bounds."""
        effort = ", ".join(f"{name} {value}" for name, value in self.effort.to_dict().items() if name != "name")
        return {**super().size(), "bounds": effort}

    def key(self, resources: Resources) -> Any:
        """The folders of all runs, and the effort."""
        return {"runs": super().key(resources), "effort": self.effort.to_dict()}

    def made_with(self, resources: Resources) -> Provenance:
        """float64, on the device of the trainings."""
        return single_threaded(resources.device)

    def measure(self, resources: Resources, progress: Progress) -> "list[Group]":
        """Train, then bound every network that was kept; what was bounded before an interruption is found again."""
        from ...ground.workers import in_workers
        from ..measurements.certificates_along import code_key, kept_bounds
        from ..training_runs import run_directories
        from ..used_data import used_data

        found = super().measure(resources, progress)
        folder, code = resources.out / "runs" / "certificates_along", code_key()
        folder.mkdir(parents=True, exist_ok=True)
        directories = run_directories(self.sweep.runs(), resources)
        tasks, seeds = [], []
        for name, group in zip(dict(self.sweep.groups), found, strict=True):
            for run, seed in zip(self.sweep.of(name), group["seeds"], strict=True):
                if "rows" in seed:
                    data = used_data(run.data, resources)
                    tasks.append((folder, code, directories[run], data, self.effort, resources.device))
                    seeds.append(seed)
        done = in_workers(kept_bounds, tasks, max(1, min(resources.jobs, len(tasks))))
        for count, (seed, measured) in enumerate(zip(seeds, done, strict=True), 1):
            del seed["rows"]
            seed.update(measured)
            progress(count, len(tasks))
        return found

    def plot(self, result: "list[Group]") -> "Figure":
        """A panel for each optimizer; hollow marks are estimates, filled ones are proved."""
        from matplotlib.ticker import MaxNLocator

        from ..sweep import curve

        figure = new_figure(len(result), width=3.9, height=3.9)
        for axes, each in zip(figure.axes, result, strict=True):
            for (key, words), line in zip(_CURVES.items(), MANY_LINES, strict=True):
                epochs, found = curve(each, key)
                face = line["color"] if key in _PROVED else "white"
                axes.plot(epochs, [one.mean for one in found], label=words, **line, markerfacecolor=face)
                if found and all(map(has_interval, found)):
                    least = min(one.mean for one in found) / 10  # a band that reaches 0 has no logarithm
                    low, high = [max(one.low, least) for one in found], [one.high for one in found]
                    axes.fill_between(epochs, low, high, color=line["color"], alpha=0.15, lw=0)
            axes.set_yscale("log")
            axes.axhline(1.0, color="black", linewidth=1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("epoch")
            axes.set_ylabel("value (loss and error lie in [0, 1])")
            axes.set_title(each["name"])
        ends = [axes.get_ylim() for axes in figure.axes]
        top = max(high for _, high in ends) * 1.5
        for axes in figure.axes:
            axes.set_ylim(max(min(low for low, _ in ends), 1e-4), top)
            axes.axhspan(1.0, top, color="0.93", zorder=0)
            axes.text(0.98, top / 1.15, "vacuous", ha="right", va="top", transform=axes.get_yaxis_transform())
        handles, names = figure.axes[0].get_legend_handles_labels()
        columns = 1 if panels_are_stacked() else min(len(result), 3)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
        return figure

    def claims(self, result: "list[Group]") -> list[Claim]:
        """Whether the sum is vacuous all along, what is proved, which terms fall, and for whom they are smallest."""
        from ..sweep_claims import ratio_claim

        groups = {each["name"]: each for each in result}
        rows = [row for each in result for run in each["seeds"] for row in run.get("rows", []) if row["epoch"] > 0]
        claims = [_vacuous(rows), _proved(rows)] if rows else []
        claims += [_falls(each, key) for key in _FALLS for each in result]
        for over, under in (("SAM", "SGD"), ("Eigen-SAM", "SAM")):
            if over in groups and under in groups:
                claim = f"After training the curvature term of {over} is smaller than that of {under}"
                paper = "a smaller top eigenvalue makes a smaller bound (Section 4, Theorem 4.1)"
                claims.append(ratio_claim(groups[over], groups[under], "curvature", claim, paper))
        return claims

    def caption(self, result: "list[Group]") -> str:
        """What is estimated, and what is proved."""
        from ..sweep_words import seeds_of

        settings = result[0]["settings"]
        return (
            f"{settings['model']} on {settings['data']}, means over {seeds_of(result, 'bands')}. Hollow: terms of "
            "Theorem 4.1 for the bounded cross-entropy, and their sum, which is an estimate, as derivatives are "
            "sampled at one point. Filled: proved. Of the network with Gaussian noise, the same loss, by Monte Carlo "
            "and the inverse of kl; of the network itself, the probability of error, by Clopper-Pearson on the test "
            "set. The posterior's σ is chosen anew at each epoch."
        )

    def tables(self, result: "list[Group]") -> list[Table]:
        """Every number of the picture, estimates and certificates in columns of their own."""
        header = [
            "",
            "epoch",
            *(f"{term}\n({'measured' if term == 'empirical' else 'estimate'})" for term in _TERMS[:3]),
            "complexity\n(for this σ)",
            "sum\n(estimate)",
            "loss with noise\n(proved)",
            "test error\n(measured)",
            "its upper end\n(proved)",
        ]
        rows = []
        for each in result:
            for epoch in _epochs(each):
                terms = [f"{_at(each, epoch, key):.3g}" for key in _TERMS]
                bounds = [_said(each, epoch, key) for key in ("sum", "certificate")]
                errors = [f"{100 * _at(each, epoch, key):.2f} %" for key in ("test_error", "test_upper")]
                rows.append([each["name"], f"{epoch}", *terms, *bounds, *errors])
        note = (
            "Means over seeds. Vacuous: at least 1, the largest loss; no information: at least the loss of a predictor "
            "without data."
        )
        return [Table(header, rows, right=range(1, len(header)), note=note)]

    def notes(self, result: "list[Group]") -> list[str]:
        """What certificates say, and of what."""
        from ..sweep_words import failures

        deltas = {row["delta"] for each in result for run in each["seeds"] for row in run.get("rows", [])}
        kinds = {row["kind"] for each in result for run in each["seeds"] for row in run.get("rows", [])}
        share = ", ".join(f"{delta:.3g}" for delta in sorted(deltas))
        notes = [
            f"Each certificate fails with probability at most δ = {share}, so that all of one run hold at once with "
            "the probability that was asked for. The prior is centred at the initialisation; the test set was used "
            "for nothing else.",
            "At the initialisation the posterior need not move, so the sum there is small and says nothing about "
            "training; claims are about later epochs.",
        ]
        if "estimate" in kinds:
            notes.append(
                "Networks that hold statistics of the data besides parameters, as batch norm does, were not fixed "
                "before the sample: what is called proved is an estimate for them."
            )
        return [*notes, *failures(result)]


def _epochs(group: "Group") -> list[int]:
    from ..sweep import curve

    return curve(group, "sum")[0]


def _at(group: "Group", epoch: int, key: str) -> float:
    from ..sweep import curve

    return next(mean.mean for at, mean in zip(*curve(group, key), strict=True) if at == epoch)


def _said(group: "Group", epoch: int, key: str) -> str:
    value = _at(group, epoch, key)
    if value >= 1:
        return f"{value:.3g}, vacuous"
    return f"{value:.3g}, no information" if value >= _at(group, epoch, "uniform") else f"{value:.3g}"


def _vacuous(rows: list[dict[str, Any]]) -> Claim:
    count, least = sum(row["sum"] >= 1 for row in rows), min(row["sum"] for row in rows)
    return Claim(
        "Theorem 4.1's sum is vacuous all along training",
        "agreed by the authors in the public review, for over-parameterised networks",
        f"at least 1 for {count} of {len(rows)} networks after the initialisation; the smallest is {least:.3g}",
        decide(count == len(rows), f"the smallest sum, {least:.3g}, against 1"),
    )


def _proved(rows: list[dict[str, Any]]) -> Claim:
    count = sum(row["certificate"] < row["sum"] for row in rows)
    worst = max(row["certificate"] / row["sum"] for row in rows)
    greatest = max(row["certificate"] for row in rows)
    return Claim(
        "What is proved without derivatives is below the theorem's sum",
        "not in the paper",
        f"for {count} of {len(rows)} networks after the initialisation; the greatest certificate is {greatest:.3g}",
        decide(count == len(rows), f"the greatest ratio of certificate to sum, {worst:.3g}, against 1"),
    )


def _falls(group: "Group", key: str) -> Claim:
    """Of one optimizer: a term from the first kept epoch to the last."""
    from ..seed_mean import seed_mean
    from ..sweep_words import mean_text
    from ..verdict import NOT_RESOLVED, Verdict, below

    runs = [[row for row in each["rows"] if row["epoch"] > 0] for each in group["seeds"] if "rows" in each]
    runs = [rows for rows in runs if len(rows) > 1]
    claim, paper = f"The {_CURVES[key]} of {group['name']} falls along training", _FALLS[key]
    if not runs:
        return Claim(claim, paper, "not measured", Verdict(NOT_RESOLVED, "no run has two networks to compare"))
    found = seed_mean([rows[-1][key] / rows[0][key] for rows in runs])
    first, last = runs[0][0]["epoch"], runs[0][-1]["epoch"]
    return Claim(claim, paper, f"× {mean_text(found, 3)} from epoch {first} to {last}", below(found, 1.0, "ratio"))
