"""Det-SAM in a run."""

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

__all__ = ["DetSAMSettings"]


@register("det-sam", order=27)
@dataclass(frozen=True)
class DetSAMSettings(Method):
    """Settings of :class:`DetSAM`.

    Attributes:
        rho: size of the perturbations.
        weight: of the measure of sharpness.
        samples: points at which it is estimated in each step.
        scale: whose square differences of losses are divided by.
    """

    label = "Det-SAM"
    rho: float = radius(
        0.01, "Half length of the cube that perturbations are drawn from; 0.01 in the released example of Det-SAM."
    )
    weight: float = setting(
        1.0,
        "Weight of the measure of sharpness; 1.0 in the released example of Det-SAM.",
        holds=lambda value: value > 0,
        otherwise="must be positive; the base alone is optimizer 'plain'",
    )
    samples: int = setting(
        1,
        "Points at which Det-SAM estimates its measure in each step, one pass each.",
        holds=lambda value: value >= 1,
        otherwise="must be at least 1",
    )
    scale: float = setting(
        1.0,
        "Whose square differences of losses are divided by in the measure of Det-SAM.",
        holds=lambda value: value > 0,
        otherwise="must be positive",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Det-SAM around the base optimizer; the perturbations are drawn with the run's seed."""
        from ..optimizers.det_sam import DetSAM

        return DetSAM(
            parameters, rho=self.rho, weight=self.weight, samples=self.samples, scale=self.scale, seed=seed, **base
        )
