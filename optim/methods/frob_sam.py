"""Frob-SAM in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.settings import setting
from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["FrobSAMSettings"]


@register("frob-sam", order=26)
@dataclass(frozen=True)
class FrobSAMSettings(Method):
    """Settings of :class:`FrobSAM`.

    Attributes:
        rho: size of the perturbations.
        weight: of the measure of sharpness.
        samples: points at which it is estimated in each step.
    """

    label = "Frob-SAM"
    rho: float = radius(
        0.005, "Standard deviation of the perturbation of each parameter; 0.005 in the released example of Frob-SAM."
    )
    weight: float = setting(
        0.005,
        "Weight of the measure of sharpness; 0.005 in the released example of Frob-SAM.",
        holds=lambda value: value > 0,
        otherwise="must be positive; the base alone is optimizer 'plain'",
    )
    samples: int = setting(
        2,
        "Points at which Frob-SAM estimates its measure in each step, one pass each.",
        holds=lambda value: value >= 2,
        otherwise="must be at least 2",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Frob-SAM around the base optimizer; the perturbations are drawn with the run's seed."""
        from ..optimizers.frob_sam import FrobSAM

        return FrobSAM(parameters, rho=self.rho, weight=self.weight, samples=self.samples, seed=seed, **base)
