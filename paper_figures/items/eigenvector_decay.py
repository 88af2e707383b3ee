"""How well an estimate of the top eigenvector keeps while the training goes on."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ...ground.errors import InputError
from ...ground.result_store import Provenance
from ..item import Claim, Item, Progress, Table
from ..registry import ITEMS
from ..resources import Resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from ..followed_trainings import FollowedTrainings
    from ..planned_run import PlannedRun

__all__ = ["EigenvectorDecay"]

Result = dict[str, Any]
"""``networks``: what :func:`decay_along` returns by network, the smaller one first, a list over seeds; ``every``: steps
between Eigen-SAM's estimates, ``used``: its products; ``examples``, ``batch_size`` and ``data``."""


def _quick() -> "FollowedTrainings":
    from ..followed_trainings import FollowedTrainings

    return FollowedTrainings.digits(("mlp32", "mlp"), epochs=14, examples=360)  # 308 steps: frozen at 100 and 200


@ITEMS.register("eigenvector_decay", order=17)
@dataclass(frozen=True)
class EigenvectorDecay(Item):
    """Alignment and Rayleigh quotient of frozen estimates.

    Attributes:
        trainings: of networks of different sizes, the smaller ones first.
        shares: of the training, at whose nearest refreshes is frozen.
        looks: steps after which the truth is computed anew, increasing, from 0; the last one is compared.
    """

    label = "eigenvector decay"
    title = "Decay of a frozen eigenvector estimate"
    in_the_paper: ClassVar[bool] = True
    trainings: "FollowedTrainings" = field(default_factory=_quick)
    shares: tuple[float, ...] = (0.33, 0.66)
    looks: tuple[int, ...] = (0, 10, 20, 50, 100)

    def with_seeds(self, count: int) -> Self:
        """The same over so many trainings of each network."""
        return replace(self, trainings=self.trainings.over(count))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there, looks out of order, and trainings that are too short."""
        from ..measurements.eigenvector_decay import freezing_steps

        if len(self.looks) < 2 or self.looks[0] != 0 or list(self.looks) != sorted(set(self.looks)):
            raise InputError(f"looks = {self.looks}; give increasing numbers of steps, the first one 0, and one more")
        self.trainings.prepare(resources)
        settings = self.trainings.settings
        for run in self.trainings.planned_steps(resources):
            if not freezing_steps(settings, run, self.shares, self.looks[-1]):
                raise InputError(
                    f"a training of {run} steps has no refresh near the shares {self.shares} that {self.looks[-1]} "
                    "steps follow; train longer, or look less far"
                )

    def size(self) -> dict[str, Any]:
        """Of the trainings, and where is looked."""
        return {**self.trainings.size(), "shares": list(self.shares), "looks": list(self.looks)}

    def key(self, resources: Resources) -> Any:
        """The size, and the examples."""
        return {**self.trainings.key(resources), **self.size()}

    def made_with(self, resources: Resources) -> Provenance:
        """Of the trainings."""
        return self.trainings.made_with(resources)

    def planned(self, resources: Resources) -> "Sequence[PlannedRun]":
        """The trainings, and looks."""
        from ..measurements.eigenvector_decay import decay_along

        looks = len(self.shares) * len(self.looks)
        return self.trainings.planned(decay_along, resources, looks, (self.shares, self.looks))

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """Train, each run kept in a file of its own, and follow what was frozen."""
        from ..measurements.eigenvector_decay import decay_along

        settings = self.trainings.settings
        more = (self.shares, self.looks)
        return {
            "networks": self.trainings.measured(decay_along, resources, progress, more),
            "every": settings.method.refresh_every,  # type: ignore[attr-defined]
            "used": settings.method.iterations,  # type: ignore[attr-defined]
            "batch_size": settings.batch_size,
            "examples": self.trainings.examples,
            "data": settings.data,
        }

    def plot(self, result: Result) -> "Figure":
        """Alignment and Rayleigh quotient over steps, a column for each network."""
        from ..decay_picture import draw_decay

        return draw_decay(result)

    def claims(self, result: Result) -> list[Claim]:
        """How much is left, and whether larger networks lose more."""
        from ..decay_words import decay_claims

        return decay_claims(result)

    def caption(self, result: Result) -> str:
        """What is drawn."""
        from ..decay_words import decay_caption

        return decay_caption(result)

    def tables(self, result: Result) -> list[Table]:
        """Each moment of each network, at the first and the last look."""
        from ..decay_words import decay_tables

        return decay_tables(result)

    def notes(self, result: Result) -> list[str]:
        """Mixing of near eigenvectors, the level of a random vector, what was refused."""
        from ..decay_words import decay_notes

        return decay_notes(result)
