"""Does a posterior that knows the Hessian's top eigenvectors buy anything, in nats and in risk?"""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...ground.intervals import Interval
from ...ground.pictures import LINES, MANY_LINES, REFERENCE, new_figure
from ...ground.result_store import Provenance, single_threaded
from ..item import Claim, Item, Progress, Table
from ..paired_seeds import nats_at_risk, paired
from ..registry import ITEMS
from ..resources import Resources
from ..seed_mean import has_interval, seed_mean, with_spread
from ..verdict import above, below, decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..measurements.spectral_study import StudySize
    from ..planned_run import PlannedRun
    from ..trainings import Trainings

__all__ = ["SpectralPosterior"]

Study = dict[str, Any]
Result = dict[str, list[Study]]
"""Studies by seed, ``trained`` and ``initial``."""

_LABELS = {
    "isotropic": "isotropic",
    "diagonal": "diagonal",
    "spectral": "spectral",
    "shuffled": "shuffled eigenvalues",
    "random": "random directions",
}
_LINES = {
    "isotropic": REFERENCE,
    "diagonal": LINES[2],
    "spectral": LINES[0],
    "shuffled": MANY_LINES[3],
    "random": LINES[1],
}


def _trainings() -> "Trainings":
    from ...optim.methods.sam import SAMSettings
    from ...optim.training.settings import TrainSettings
    from ..trainings import Trainings

    settings = TrainSettings(data="digits", model="mlp", epochs=30, prior_fraction=0.5)
    return Trainings(settings, seeds=(0, 1, 2, 3, 4), optimizers=(SAMSettings(),))


def _trained() -> "StudySize":
    from ..measurements.spectral_study import StudySize

    return StudySize(trap_widths=(0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3))


def _initial() -> "StudySize":
    from ..measurements.spectral_study import StudySize

    return StudySize(
        nats=(100.0, 200.0, 400.0),
        moves=(0.05, 0.07, 0.1),
        max_products=60,
        search_draws=4,
        draws=16,
        certificate_draws=4,
        shapes=("isotropic", "spectral"),
        rate=3e-3,
    )


@ITEMS.register("spectral_posterior", order=7)
@dataclass(frozen=True)
class SpectralPosterior(Item):
    """Gibbs risks and certificates of Gaussian posteriors of several shapes, at equal divergence.

    Attributes:
        trainings: the priors' means; one optimizer, with a ``prior_fraction`` below 1.
        trained: effort around each of them.
        initial: effort around the initialisation, without data.
        initial_seeds: of how many seeds.
    """

    label = "spectral posterior"
    title = "Spectral posteriors: does knowing the Hessian's eigenvalues buy anything?"
    trainings: "Trainings" = field(default_factory=_trainings)
    trained: "StudySize" = field(default_factory=_trained)
    initial: "StudySize" = field(default_factory=_initial)
    initial_seeds: int = 1

    def with_seeds(self, count: int) -> "SpectralPosterior":
        """So many priors that are trained; no more than that without data."""
        trainings = replace(self.trainings, seeds=tuple(range(count)))
        return replace(self, trainings=trainings, initial_seeds=min(count, self.initial_seeds))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there."""
        self.trainings.directories(resources)

    def planned(self, resources: Resources) -> "list[PlannedRun]":
        """The trainings of the priors."""
        return self.trainings.planned(resources)

    def size(self) -> dict[str, Any]:
        """The trainings, and what is tried around each."""
        shown = {"trained": self.trained, "initial": self.initial}
        efforts = {
            f"{prior} prior: {name}": list(value) if isinstance(value, tuple) else value
            for prior, size in shown.items()
            for name, value in asdict(size).items()
        }
        return {**self.trainings.size(), **efforts, "seeds of the initial prior": self.initial_seeds}

    def key(self, resources: Resources) -> Any:
        """Every run, and the effort."""
        return {"runs": self.trainings.key(resources), "size": self.size()}

    def made_with(self, resources: Resources) -> Provenance:
        """On the CPU, whatever device the trainings had; networks in float32, certificates in float64."""
        return single_threaded("cpu")

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """One study per seed and prior; runs that are not there are trained first."""
        from ...ground.workers import in_workers
        from ..measurements.spectral_runs import study_run

        total = len(self.trainings.seeds) + self.initial_seeds
        self.trainings.train(resources, lambda done, _: progress(0, total))
        runs, data = list(self.trainings.directories(resources).values()), self.trainings.data(resources)
        tasks = [(path, data, self.trained, False) for path in runs]
        tasks += [(path, data, self.initial, True) for path in runs[: self.initial_seeds]]
        found = []
        for study in in_workers(study_run, tasks, min(resources.jobs, total)):
            found.append(study)
            progress(len(found), total)
        return {"trained": found[: len(runs)], "initial": found[len(runs) :]}

    def plot(self, result: Result) -> "Figure":
        """(a) risk against nats, (b) differences to the isotropic shape, (c) Taylor's estimate and Monte Carlo."""
        figure = new_figure(3)
        left, middle, right = figure.axes
        studies = result["trained"]
        for name in ("isotropic", "spectral"):
            nats, intervals = _curve(studies, name)
            left.plot(nats, [100 * i.mean for i in intervals], label=_LABELS[name], **_LINES[name])
            for study in studies:
                one = [100 * row["risk"] for row in study["frontier"][name]]
                left.plot(nats, one, **{**_LINES[name], "marker": ""}, linewidth=0.8, alpha=0.5)
        left.set_ylabel("Gibbs error on the kept half, %")
        left.set_title("(a) error at equal divergence")
        others = [name for name in studies[0]["frontier"] if name != "isotropic"]
        for place, name in enumerate(others):
            nats = _nats(studies)
            gaps = [_difference(studies, name, "isotropic", k) for k in range(len(nats))]
            shifted = [value * 1.07 ** (place - (len(others) - 1) / 2) for value in nats]
            style = {**_LINES[name], "linestyle": "none"}
            middle.errorbar(
                shifted,
                [i.mean for i in gaps],
                yerr=[i.half_width if has_interval(i) else 0 for i in gaps],
                label=_LABELS[name],
                capsize=2,
                **style,
            )
        middle.axhline(0, color="0.5", linewidth=0.8, zorder=0)
        middle.set_ylabel("error minus that of isotropic, points")
        middle.set_title("(b) differences, paired by seed")
        for axes in (left, middle):
            axes.set_xscale("log")
            axes.set_xticks(nats, [f"{value:g}" for value in nats])
            axes.minorticks_off()
            axes.set_xlabel("KL(Q || P), nats")
            axes.legend(frameon=False, fontsize=8, loc="lower left")
        left.set_ylim(bottom=0)
        _draw_trap(right, studies)
        return figure

    def claims(self, result: Result) -> list[Claim]:
        """Differences over seeds, and what their intervals say."""
        studies, rows = result["trained"], []
        if not studies:
            return []
        nats = ", ".join(f"{value:g}" for value in _nats(studies))
        seeds = f"95 %, {len(studies)} paired seeds"
        asked = "the best shape if the loss were quadratic (Yang, Mao, Chaudhari 2022)"
        for under in (name for name in studies[0]["frontier"] if name != "spectral"):
            gap = _difference(studies, "spectral", under)
            rows.append(
                Claim(
                    f"The spectral shape has a lower mean Gibbs error at {nats} nats than {_LABELS[under]}",
                    "not said; the same deviations in wrong places should be worse"
                    if under in ("shuffled", "random")
                    else asked,
                    f"{with_spread(gap, 3)} percentage points ({seeds})",
                    below(gap, 0, "difference of errors in points, 95 % interval"),
                )
            )
        saved = seed_mean(_saved(studies))
        rows.append(
            Claim(
                "The spectral shape needs fewer nats for the isotropic one's error",
                asked,
                f"{with_spread(saved, 1)} of {sum(_nats(studies)[1:]) / (len(_nats(studies)) - 1):.1f} on average "
                f"({seeds})",
                above(saved, 0, "nats saved, 95 % interval", 1),
            )
        )
        bounds = {
            name: [100 * s["certificates"][name]["certificate"] for s in studies] for name in ("isotropic", "spectral")
        }
        gap = paired(bounds["spectral"], bounds["isotropic"])
        known = [[100 * s["certificates"][n]["estimate_without_sampling"] for s in studies] for n in reversed(bounds)]
        rows.append(
            Claim(
                f"At {_nats(studies)[0]:g} nats or more and equal numbers of evaluations the spectral shape has a "
                "lower 0-1 certificate than the isotropic one",
                "not said; eigenvectors cost evaluations",
                " % against ".join(with_spread(seed_mean(each), 2) for each in reversed(bounds.values()))
                + f" %: {with_spread(gap, 2)} points ({seeds}); if risks were known without sampling, "
                f"{with_spread(paired(*known), 2)} (estimate)",
                below(gap, 0, "difference of certificates in points, 95 % interval", 2),
            )
        )
        return [*rows, *_trap_claim(studies)]

    def caption(self, result: Result) -> str:
        """What is equal, and what differs."""
        studies = result["trained"]
        return (
            "Posteriors Q = N(x, Σ) against the prior N(x₀, s²I), x₀ trained by SAM on half of "
            f"the data, the kept half ({studies[0]['examples']} examples) for everything else. "
            "All shapes have the same means to choose from, the same divergence, and the same search over what the "
            "move costs and what narrowing costs. (a) Means, and thin each of the "
            f"{len(studies)} seeds; (b) bars: 95 %. Errors are Monte-Carlo estimates with the same random numbers for "
            "all shapes, other numbers than those of the search. (c) The mean surrogate loss, by its second-order "
            "expansion, an estimate that certifies nothing, and by Monte Carlo; dotted, the uniform prediction's."
        )

    def tables(self, result: Result) -> list[Table]:
        """Risks by shape and nats; certificates."""
        tables = []
        for prior, studies in result.items():
            if not studies:
                continue
            nats = _nats(studies)
            rows = []
            for name in studies[0]["frontier"]:
                _, intervals = _curve(studies, name)
                found = [s["certificates"].get(name) for s in studies]
                certified = ["", "", "", ""]
                if all(found):
                    keys = ("certificate", "estimate_without_sampling", "kl", "predictions")
                    means = [seed_mean([each[key] for each in found]) for key in keys]
                    percent = [Interval(100 * i.mean, 100 * i.half_width) for i in means[:2]]
                    certified = [with_spread(i, 2) for i in percent]
                    certified += [f"{means[2].mean:.1f}", f"{means[3].mean:,.0f}"]
                errors = [with_spread(Interval(100 * i.mean, 100 * i.half_width), 2) for i in intervals]
                rows.append([_LABELS[name], *errors, *certified])
            header = ["posterior", *(f"error, %,\n{value:g} nats" for value in nats)]
            header += ["certificate, %\n(95 %)", "not sampled, %\n(estimate)", "its nats", "its predictions"]
            tables.append(Table(header, rows, right=range(1, len(header)), note=_note(prior, studies)))
        return tables

    def notes(self, result: Result) -> list[str]:
        """How evaluations are counted, and what a certificate here assumes."""
        from ..measurements.spectral_study import PRODUCT

        products = seed_mean([s["products"] for s in result["trained"]]).mean
        return [
            f"Evaluations: one prediction of one example is one; a product with the Hessian counts {PRODUCT} for each "
            f"example. The {products:.0f} products behind the eigenvectors are given to the other shapes as further "
            "Monte-Carlo predictions, which shrink the sampling term of their certificates.",
            "Each certificate holds by itself with probability 0.95 (Maurer's inequality; the prior's width is paid "
            "for by a union over a grid; exact fresh weights for every example). Its mean, width and nats were chosen "
            "by the search, at the price of the divergence.",
            "Eigenvectors and the diagonal are those of one of the means, for all of them: they lie close together. "
            "The first interval of the claims answers the question; the others, each at 95 %, say why.",
            "'Not sampled': the certificate if the Gibbs risk were the sampled one, without a term for the sampling.",
            "Below a few nats there is nothing to compare: a prior that is narrow enough certifies its own mean.",
        ]


def _nats(studies: list[Study]) -> list[float]:
    return [row["nats"] for row in studies[0]["frontier"]["isotropic"]]


def _curve(studies: list[Study], name: str) -> tuple[list[float], list[Interval]]:
    rows = zip(*[study["frontier"][name] for study in studies], strict=True)
    return _nats(studies), [seed_mean([each["risk"] for each in row]) for row in rows]


def _difference(studies: list[Study], over: str, under: str, place: int | None = None) -> Interval:
    """Of errors in percentage points, at one number of nats, or of their mean over all."""

    def errors(name: str) -> list[float]:
        risks = [[100 * row["risk"] for row in study["frontier"][name]] for study in studies]
        return [sum(each) / len(each) if place is None else each[place] for each in risks]

    return paired(errors(over), errors(under))


def _saved(studies: list[Study]) -> list[float]:
    """For each seed the nats saved at the isotropic shape's error, on average over all of its nats but the fewest."""
    nats, found = _nats(studies), []
    for study in studies:
        curves = {name: [row["risk"] for row in study["frontier"][name]] for name in ("isotropic", "spectral")}
        saved = [
            value - nats_at_risk(nats, curves["spectral"], risk)
            for value, risk in zip(nats[1:], curves["isotropic"][1:], strict=True)
        ]
        found.append(sum(saved) / len(saved))
    return found


def _trap(studies: list[Study], key: str) -> list[float]:
    return [seed_mean([s["trap"][k][key] for s in studies]).mean for k in range(len(studies[0]["trap"]))]


def _draw_trap(axes: Any, studies: list[Study]) -> None:
    widths = _trap(studies, "width")
    axes.plot(widths, _trap(studies, "taylor"), label="Taylor, second order (estimate)", **LINES[1])
    axes.plot(widths, _trap(studies, "loss"), label="Monte Carlo", **LINES[0])
    axes.axhline(_uniform(), color="black", linestyle=":", linewidth=1, label="the uniform prediction")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("prior standard deviation s")
    axes.set_xticks(widths, [f"{value:g}" for value in widths])
    axes.minorticks_off()
    axes.set_ylabel("bounded cross-entropy")
    axes.set_title("(c) Taylor's estimate, spectral")
    axes.legend(frameon=False, fontsize=8)


def _uniform() -> float:
    """Surrogate loss of ten equal probabilities."""
    import math

    return math.log(0.05 + 0.95 / 10) / math.log(0.05)


def _trap_claim(studies: list[Study]) -> list[Claim]:
    if not studies[0]["trap"]:
        return []
    widths, taylor, loss, risk = (_trap(studies, key) for key in ("width", "taylor", "loss", "risk"))
    last = len(widths) - 1
    return [
        Claim(
            f"At s = {widths[last]:g} the second-order form of the spectral posterior's loss is far below its truth",
            "an expansion around a point says nothing of where a wide posterior lies",
            f"Taylor {taylor[last]:.3f}, Monte Carlo {loss[last]:.3f}, error {risk[last]:.2f}; at s = {widths[0]:g} "
            f"{taylor[0]:.4f} and {loss[0]:.4f}",
            decide(
                loss[last] > 2 * taylor[last],
                f"Monte Carlo over Taylor {loss[last] / taylor[last]:.2f}, far means above 2 (ours)",
            ),
        )
    ]


def _note(prior: str, studies: list[Study]) -> str:
    errors = seed_mean([100 * s["at_prior"]["errors"] for s in studies])
    upper = seed_mean([100 * s["at_prior"]["clopper_pearson"] for s in studies])
    seeds = f"{len(studies)} seeds" if len(studies) > 1 else "one seed: no interval"
    if prior == "initial":
        return f"Prior without data: the initialisation, all {studies[0]['examples']} training examples; {seeds}."
    return (
        f"Prior trained on half; {seeds}. The network that is not randomised errs on {with_spread(errors, 2)} %, and "
        f"Clopper-Pearson's upper value of its error rate is {with_spread(upper, 2)} %, below all certificates here."
    )
