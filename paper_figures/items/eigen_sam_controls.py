"""Does Eigen-SAM's eigenvector lower the top eigenvalue beyond what a longer perturbation of SAM does?"""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ...ground.result_store import Provenance
from ..item import Claim, Item, Progress, Table
from ..registry import ITEMS
from ..resources import Resources

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...landscapes.runs.data_set import DataSet
    from ..measurements.control_plan import Pair

__all__ = ["EigenSAMControls"]

Result = dict[str, Any]


def _pairs() -> "tuple[Pair, ...]":
    from ..measurements.control_plan import LAPTOP

    return LAPTOP


@ITEMS.register("eigen_sam_controls", order=10)
@dataclass(frozen=True)
class EigenSAMControls(Item):
    """Paired trainings by Eigen-SAM and its controls.

    Attributes:
        pairs: networks with their data; none are the six of the plan of three hours on two cores.
        alphas: weights of the eigenvector.
        refreshes: steps between estimates of the minibatch's eigenvector.
        accurate: the same for the eigenvector of the whole training loss, which costs more.
    """

    label = "Eigen-SAM's controls"
    title = "Eigen-SAM against SAM with an equally long perturbation"
    pairs: "tuple[Pair, ...]" = ()
    alphas: tuple[float, ...] = (0.2, 1.0)
    refreshes: tuple[int, ...] = (1, 10, 20, 100)
    accurate: tuple[int, ...] = (20, 100)

    @property
    def all_pairs(self) -> "tuple[Pair, ...]":
        """Those of the plan where none were given."""
        return self.pairs or _pairs()

    def with_seeds(self, count: int) -> "EigenSAMControls":
        """So many of each pair."""
        return replace(self, pairs=tuple(replace(pair, seeds=count) for pair in self.all_pairs))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there, sizes that do not fit them, and a plan without Eigen-SAM."""
        if not self.alphas or not (self.refreshes or self.accurate):
            raise InputError(
                f"alphas = {self.alphas}, refreshes = {self.refreshes}, accurate = {self.accurate}: nothing is "
                "compared; give an alpha, and a number of steps between refreshes"
            )
        slugs = [pair.slug for pair in self.all_pairs]
        if twice := [slug for slug in slugs if slugs.count(slug) > 1]:
            raise InputError(f"two pairs would be kept in files called {twice[0]}-...; give them other names")
        for pair in self.all_pairs:
            self._used(pair, resources)

    def size(self) -> dict[str, Any]:
        """Each pair in a line, and what is varied."""
        lines = {
            pair.name: ", ".join(f"{key} {value}" for key, value in asdict(pair).items() if key != "name")
            for pair in self.all_pairs
        }
        varied = {name: list(getattr(self, name)) for name in ("alphas", "refreshes", "accurate")}
        return {**lines, **varied}

    def key(self, resources: Resources) -> Any:
        """The size, and which examples there are."""
        from ...landscapes.runs.data_digests import data_digest

        examples = {pair.name: data_digest(self._used(pair, resources)) for pair in self.all_pairs}
        return {"size": self.size(), "examples": examples}

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """Every run once, each kept in a file of its own: what was interrupted goes on from there.

        SAM of equal length comes last, as its radius is that of the other runs' measured perturbations.
        """
        from ...ground.workers import in_workers
        from ..measurements.control_plan import Condition, conditions
        from ..measurements.controlled_run import code_key, kept_run

        code = code_key()
        folder = resources.out / "runs" / "eigen_sam_controls"
        folder.mkdir(parents=True, exist_ok=True)
        own = list(conditions(self.alphas, self.refreshes, self.accurate))
        first = [(pair, each, seed) for pair in self.all_pairs for seed in range(pair.seeds) for each in own]
        total = len(first)
        found: dict[tuple[Pair, Condition, int], dict[str, Any]] = {}

        def measured(runs: "list[tuple[Pair, Condition, int]]") -> None:
            tasks = [(folder, code, *run, self._used(run[0], resources), self.alphas) for run in runs]
            jobs = max(1, min(resources.jobs, len(tasks)))
            for run, record in zip(runs, in_workers(kept_run, tasks, jobs), strict=True):
                found[run] = record
                progress(len(found), total)

        measured(first)
        controls = {run: Condition.of_length(found[run]["length"]) for run in first if run[1].method == "eigen-sam"}
        more = list(dict.fromkeys((run[0], control, run[2]) for run, control in controls.items()))
        more = [run for run in more if run not in found]
        total += len(more)
        measured(more)
        return {
            "pairs": [
                {
                    **asdict(pair),
                    "parameters": self._parameters(pair, resources),
                    "test_examples": len(self._used(pair, resources).test_targets),
                    "runs": _runs(pair, found),
                }
                for pair in self.all_pairs
            ]
        }

    def made_with(self, resources: Resources) -> Provenance:
        """On the CPU with one thread, networks in float32."""
        import torch

        from ...ground.records import provenance
        from ...ground.workers import one_thread

        with one_thread():
            return provenance("cpu", torch.float32)

    def plot(self, result: Result) -> "Figure":
        """A panel for each pair and weight: the eigenvalue in units of that of SAM of equal length."""
        from ..controls_picture import draw_controls

        return draw_controls(result)

    def claims(self, result: Result) -> list[Claim]:
        """For each pair and weight whether the eigenvector does more than length."""
        from ..controls_words import control_claims

        return control_claims(result)

    def caption(self, result: Result) -> str:
        """What is drawn, and what a verdict means."""
        from ..controls_words import control_caption

        return control_caption(result)

    def tables(self, result: Result) -> list[Table]:
        """All conditions of each pair."""
        from ..controls_words import control_tables

        return control_tables(result)

    def notes(self, result: Result) -> list[str]:
        """Many verdicts at once, batch norm, and what the engine predicts."""
        from ..controls_words import control_notes

        return control_notes(result)

    def _used(self, pair: "Pair", resources: Resources) -> "DataSet":
        from ..measurements import control_plan
        from ..used_data import used_data

        if ("part", pair) not in resources.loaded:
            resources.loaded["part", pair] = control_plan.used_data(pair, used_data(pair.data, resources))
        found: DataSet = resources.loaded["part", pair]
        return found

    def _parameters(self, pair: "Pair", resources: Resources) -> int:
        from ...landscapes.runs.build import build_model

        data = self._used(pair, resources)
        return sum(p.numel() for p in build_model(pair.model, data.shape, data.classes).parameters())


def _runs(pair: "Pair", found: "dict[tuple[Pair, Any, int], dict[str, Any]]") -> list[dict[str, Any]]:
    """Records of a pair by condition, each with those of all seeds."""
    mine: dict[Any, list[dict[str, Any]]] = {}
    for (whose, condition, seed), record in found.items():
        if whose == pair:
            mine.setdefault(condition, []).append({"seed": seed, **record})
    return [{"condition": asdict(condition), "seeds": records} for condition, records in mine.items()]
