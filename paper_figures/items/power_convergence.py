"""Convergence of Algorithm 1 on the Hessians that Eigen-SAM meets: how many products are enough?"""

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

__all__ = ["PowerConvergence"]

Result = dict[str, Any]
"""``networks``: rows of :func:`convergence_along` by network, a list over seeds; ``used`` products and steps between
refreshes (``every``) of Eigen-SAM; ``batch_size``, ``examples`` and ``data``."""


def _quick() -> "FollowedTrainings":
    from ..followed_trainings import FollowedTrainings

    return FollowedTrainings.digits(("mlp32",), epochs=19, examples=512)  # 418 steps: refreshes at 0, 200 and 400


@ITEMS.register("power_convergence", order=16)
@dataclass(frozen=True)
class PowerConvergence(Item):
    """Alignment and Rayleigh quotient of estimates over products with the Hessian.

    Attributes:
        trainings: whose Hessians are looked at.
        products: most products of an estimate.
    """

    label = "power method"
    title = "Convergence of the power method (Algorithm 1)"
    in_the_paper: ClassVar[bool] = True
    trainings: "FollowedTrainings" = field(default_factory=_quick)
    products: int = 20

    def with_seeds(self, count: int) -> Self:
        """The same over so many trainings of each network."""
        return replace(self, trainings=self.trainings.over(count))

    def prepare(self, resources: Resources) -> None:
        """Refuse data that are not there, and fewer products than Eigen-SAM makes."""
        self.trainings.prepare(resources)
        used = self.trainings.settings.method.iterations  # type: ignore[attr-defined]
        if self.products < used:
            raise InputError(f"products = {self.products}, and Eigen-SAM makes {used} itself; give at least as many")

    def size(self) -> dict[str, Any]:
        """Of the trainings, and products."""
        return {**self.trainings.size(), "products": self.products}

    def key(self, resources: Resources) -> Any:
        """The size, and the examples."""
        return {**self.trainings.key(resources), "products": self.products}

    def made_with(self, resources: Resources) -> Provenance:
        """Of the trainings."""
        return self.trainings.made_with(resources)

    def planned(self, resources: Resources) -> "Sequence[PlannedRun]":
        """The trainings; at three moments two Hessians each."""
        from ..measurements.power_convergence import convergence_along

        return self.trainings.planned(convergence_along, resources, 6, (self.products,))

    def measure(self, resources: Resources, progress: Progress) -> Result:
        """Train, each run kept in a file of its own, and estimate at three moments."""
        from ..measurements.power_convergence import convergence_along

        settings = self.trainings.settings
        return {
            "networks": self.trainings.measured(convergence_along, resources, progress, (self.products,)),
            "used": settings.method.iterations,  # type: ignore[attr-defined]
            "every": settings.method.refresh_every,  # type: ignore[attr-defined]
            "batch_size": settings.batch_size,
            "examples": self.trainings.examples,
            "data": settings.data,
        }

    def plot(self, result: Result) -> "Figure":
        """Alignment and Rayleigh quotient of the last moment, for both Hessians of each network."""
        from ..convergence_picture import draw_convergence

        return draw_convergence(result)

    def claims(self, result: Result) -> list[Claim]:
        """Whether so few products are enough, and what a better solver or start is worth."""
        from ..convergence_words import convergence_claims

        return convergence_claims(result)

    def caption(self, result: Result) -> str:
        """What is drawn."""
        from ..convergence_words import convergence_caption

        return convergence_caption(result)

    def tables(self, result: Result) -> list[Table]:
        """All moments, Hessians, starts and solvers."""
        from ..convergence_words import convergence_tables

        return convergence_tables(result)

    def notes(self, result: Result) -> list[str]:
        """A guideline for p, and what was refused."""
        from ..convergence_words import convergence_notes

        return convergence_notes(result)
