"""How flat are the minima of SGD, SAM and Eigen-SAM along the top Hessian eigenvectors? With the trainings' paths."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...ground.intervals import Interval
from ...ground.result_store import Provenance, single_threaded
from ..item import Claim, Item, Progress, Table
from ..optimizer_names import label
from ..registry import ITEMS
from ..resources import Resources
from ..seed_mean import NO_INTERVAL, seed_mean, with_spread
from ..verdict import below, decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..measurements.minima import MinimumSize
    from ..planned_run import PlannedRun
    from ..trainings import Trainings

__all__ = ["Minima"]

Run = dict[str, Any]
Result = dict[str, Any]
"""``runs`` of :func:`measure_minimum`, ``{optimizer: [seed]}``, the first with its plane; and the size's distances."""

_PAIRS = (("sam", "sgd"), ("eigen-sam", "sam"))
_CONTROL = "a control, not in the paper"


def _trainings() -> "Trainings":
    from ...optim.training.settings import TrainSettings
    from ..trainings import Trainings

    return replace(Trainings.quick(), settings=TrainSettings(data="digits", model="mlp", epochs=20))


def _size() -> "MinimumSize":
    from ..measurements.minima import MinimumSize

    return MinimumSize()


@ITEMS.register("minima", order=21)
@dataclass(frozen=True)
class Minima(Item):
    """The loss around trained networks, drawn in filter-normalised directions (Li et al. 2018).

    Attributes:
        trainings: of the networks; given those of Figure 1, all but the first seed's are found again.
        around: what is measured around each.
        snapshot_every: epochs from one point of a path to the next, of the first seed, whose plane is drawn.
    """

    label = "minima"
    title = "The loss around the minima of SGD, SAM and Eigen-SAM"
    trainings: "Trainings" = field(default_factory=_trainings)
    around: "MinimumSize" = field(default_factory=_size)
    snapshot_every: int = 2

    def with_seeds(self, count: int) -> "Minima":
        """The same over the seeds from 0."""
        return replace(self, trainings=replace(self.trainings, seeds=tuple(range(count))))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there."""
        self.trainings.directories(resources)

    def size(self) -> dict[str, Any]:
        """The trainings, and what is measured around each."""
        own = {name.replace("_", " "): _listed(value) for name, value in asdict(self.around).items()}
        return {**self.trainings.size(), **own, "snapshot_every": self.snapshot_every}

    def key(self, resources: Resources) -> Any:
        """Every run, and the effort."""
        runs = {name: key for part in self._parts() for name, key in part.key(resources).items()}
        return {"runs": runs, "size": self.size()}

    def planned(self, resources: Resources) -> "list[PlannedRun]":
        """All runs."""
        return [run for part in self._parts() for run in part.planned(resources)]

    def made_with(self, resources: Resources) -> Provenance:
        """In float64, where the networks were trained."""
        return single_threaded(_device(resources))

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """Every minimum, each kept in a file of its own; runs that are not there are trained first."""
        from ...ground.workers import in_workers
        from ..measurements.minima import kept_minimum

        data, names = self.trainings.data(resources), []
        tasks: list[tuple[Any, ...]] = []
        parts, total = self._parts(), 2 * len(self.trainings.runs())
        for part in parts:
            before = len(tasks)
            part.train(resources, lambda done, _, before=before: progress(before + done, total))  # type: ignore[misc]
            for settings, path in part.directories(resources).items():
                folder = resources.out / "runs" / "minima"
                tasks.append((path, data, self.around, _device(resources), folder, part is parts[0]))
                names.append(settings.method.name)
        runs: dict[str, list[Run]] = {each.name: [] for each in self.trainings.optimizers}
        found = in_workers(kept_minimum, tasks, min(resources.jobs, len(tasks)))
        for count, (name, run) in enumerate(zip(names, found, strict=True), start=1):
            runs[name].append(run)
            progress(len(tasks) + count, total)
        around = asdict(self.around)
        kept = ("distances", "distance", "unit_distance", "agreement")
        return {"runs": runs, "data": self.trainings.settings.data, **{name: around[name] for name in kept}}

    def _parts(self) -> "list[Trainings]":
        """The first seed, which keeps networks on the way, and the others, which need not: kept ones are large."""
        first, *others = self.trainings.seeds
        settings = replace(self.trainings.settings, snapshot_every=self.snapshot_every)
        parts = [replace(self.trainings, settings=settings, seeds=(first,))]
        return [*parts, replace(self.trainings, seeds=tuple(others))] if others else parts

    def plot(self, result: Result) -> "Figure":
        """(a) to (c) contours of the loss with the path of the training, (d) rises over all seeds."""
        from ..minima_picture import draw_minima

        return draw_minima(result)

    def claims(self, result: Result) -> list[Claim]:
        """Ratios of curvatures and rises, paired over seeds, and those that would explain them away."""
        rows, where = [], result["distances"].index(result["distance"])
        at = f"at r = {result['distance']:g} filter lengths"
        asked: list[tuple[str, str, Callable[[Run], float]]] = [
            (
                "a smaller curvature λ₁ along the unit eigenvector v₁",
                "flatter: smaller top eigenvalue",
                lambda run: float(run["lambda_1"]),
            ),
            (
                f"a smaller rise of the loss {at} along the filter-normalised d₁",
                "flatter: wider minimum",
                lambda run: float(run["rise"][where]),
            ),
            (
                "a smaller curvature per unit of loss, λ₁/f, as a low loss alone makes cross-entropy flat",
                _CONTROL,
                lambda run: float(run["lambda_1"] / run["loss"]),
            ),
            (
                "a smaller λ₁|x|², as long parameters alone make the loss flat",
                _CONTROL,
                lambda run: float(run["lambda_1"] * run["norm"] ** 2),
            ),
            (
                f"a smaller rise {at} along a random filter-normalised direction",
                _CONTROL,
                lambda run: float(run["random_rise"][where]),
            ),
        ]
        for over, under in _PAIRS:
            if over not in result["runs"] or under not in result["runs"]:
                continue
            for claim, paper, value in asked:
                ratio = _ratio(result, over, under, value)
                said = f"The minimum of {label(over)}, compared with that of {label(under)}, has {claim}"
                measured = f"ratio {with_spread(ratio, 3)} ({_seeds(result)})"
                rows.append(Claim(said, paper, measured, below(ratio, 1.0, "ratio")))
        return [*rows, _curvature_claim(result), _picture_claim(result)]

    def caption(self, result: Result) -> str:
        """What is drawn, and how little of the path it is."""
        from ..minima_picture import path_share, points_outside

        planes = _planes(result)
        shares = ", ".join(f"{label(name)} {100 * path_share(plane):.2g} %" for name, plane in planes.items())
        outside = sum(map(points_outside, planes.values()))
        beyond = f" {outside} points of the paths lie outside of the panels." if outside else ""
        return (
            f"Training loss on {result['data']} on the plane through each minimum that the Hessian's top two "
            "eigenvectors span there, every filter of a direction scaled to the length of the network's (Li et al. "
            "2018; biases do not move). Levels and axes are the same in all panels, the planes are not: each is that "
            "of its own minimum. Points: the network along its training, projected orthogonally onto the plane, which "
            f"holds {shares} of the path's squared distances from the minimum; the contours below a point are the "
            f"plane's loss, not that of the network.{beyond} (d) Mean of both sides, minus the loss of the minimum; "
            f"filled markers along d₁, open ones along a random direction; {_bands(result)}; dotted, the "
            "distance that is compared."
        )

    def tables(self, result: Result) -> list[Table]:
        """Numbers of every minimum, and of the drawn paths."""
        where, radius = result["distances"].index(result["distance"]), result["unit_distance"]
        columns: dict[str, tuple[Callable[[Run], float], int]] = {
            "training\nloss": (lambda run: run["loss"], 5),
            "|x|": (lambda run: run["norm"], 2),
            "λ₁": (lambda run: run["lambda_1"], 3),
            f"rise, {radius:g}\nalong v₁": (lambda run: run["unit_rise"], 4),
            f"rise, r = {result['distance']:g}\nalong d₁": (lambda run: run["rise"][where], 4),
            f"rise, r = {result['distance']:g},\nrandom": (lambda run: run["random_rise"][where], 6),
            "curvature that\nd₁ keeps, %": (lambda run: 100 * run["kept_curvature"], 1),
        }
        rows = [
            [
                label(name),
                *(with_spread(seed_mean([of(run) for run in runs]), digits) for of, digits in columns.values()),
            ]
            for name, runs in result["runs"].items()
        ]
        note = (
            f"Means, {_seeds(result)}. The curvature that d₁ keeps: of d₁ at length 1, in percent of λ₁; making all "
            "filters move in proportion turns the eigenvector away from itself."
        )
        minima = Table(["optimizer", *columns], rows, right=range(1, len(columns) + 1), note=note)
        header = [
            "optimizer",
            "epoch",
            "distance from\nthe minimum",
            "of it in\nthe plane, %",
            "loss",
            "loss where\nit is drawn",
        ]
        paths = [
            [
                label(name),
                str(row["epoch"]),
                f"{row['distance']:.3f}",
                f"{100 * row['share']:.2f}",
                f"{row['loss']:.4f}",
                f"{row['drawn_loss']:.4f}",
            ]
            for name, plane in _planes(result).items()
            for row in plane["trajectory"]
            if row["distance"]
        ]
        note = "Of the squared distance. The minimum itself, the last point of each path, is left out."
        return [minima, Table(header, paths, right=range(1, 6), note=note)]

    def notes(self, result: Result) -> list[str]:
        """What was checked, and what the picture cannot say."""
        size = max(plane["parameters"] for plane in _planes(result).values())
        return [
            "A minimum is where a training ended, all after the same number of epochs at the same learning rate, with "
            "the same minibatches; nothing was tuned for this comparison.",
            f"Of a random displacement, a plane would hold 2/d on average: {200 / size:.1g} % of its square in "
            f"{size:,} dimensions.",
            "Filter normalisation takes the scale of each filter out of how far one moves, and not out of where to: "
            "which direction is the top eigenvector still depends on how the network is parametrised.",
            "Each interval is one at 95 % by itself; the controls say how to read the ratios above them.",
        ]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _device(resources: Resources) -> str:
    """Where float64 is to be had."""
    return resources.device if resources.device.startswith("cuda") else "cpu"


def _planes(result: Result) -> dict[str, dict[str, Any]]:
    return {name: runs[0]["plane"] for name, runs in result["runs"].items()}


def _ratio(result: Result, over: str, under: str, value: Callable[[Run], float]) -> Interval:
    """Paired over seeds, which share initialisation, minibatches and the random direction's numbers."""
    pairs = zip(result["runs"][over], result["runs"][under], strict=True)
    return seed_mean([value(a) / value(b) for a, b in pairs])


def _count(result: Result) -> int:
    return len(next(iter(result["runs"].values())))


def _seeds(result: Result) -> str:
    return f"95 %, {_count(result)} paired seeds" if _count(result) > 1 else NO_INTERVAL


def _bands(result: Result) -> str:
    count = _count(result)
    return f"means over {count} seeds with 95 % bands" if count > 1 else NO_INTERVAL


def _curvature_claim(result: Result) -> Claim:
    """Measuring refuses what disagrees; the numbers of a file are compared once more."""
    runs = [run for each in result["runs"].values() for run in each]
    worst, limit = max(abs(run["second_difference"] / run["lambda_1"] - 1) for run in runs), result["agreement"]
    return Claim(
        "Along v₁ the second difference of the loss is λ₁, at every minimum",
        "so by definition; a check of ours",
        f"largest relative deviation {worst:.1e} over {len(runs)} minima",
        decide(worst <= limit, f"{worst:.1e} {'is within' if worst <= limit else 'exceeds'} {limit:g}"),
    )


def _picture_claim(result: Result) -> Claim:
    from ..minima_picture import path_share

    shares = {name: 100 * path_share(plane) for name, plane in _planes(result).items()}
    least = min(shares.values())
    return Claim(
        "The planes hold most of the trainings' paths, as such pictures suggest",
        "pictures of this kind suggest it; the paper has none",
        ", ".join(f"{label(name)} {share:.2g} %" for name, share in shares.items()) + " of squared distances",
        decide(least > 50, f"the least share is {least:.2g} %, to be compared with 50 %"),
    )
