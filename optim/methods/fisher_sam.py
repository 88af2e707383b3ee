"""Fisher SAM in a run."""

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

__all__ = ["FisherSAMSettings"]


@register("fisher-sam", order=7)
@dataclass(frozen=True)
class FisherSAMSettings(Method):
    """Settings of :class:`FisherSAM`.

    Attributes:
        rho: radius in the metric.
        eta: weight of the Fisher information in the metric.
    """

    label = "Fisher SAM"
    rho: float = radius(0.1, "Radius in the metric of the Fisher information.")
    eta: float = setting(
        1.0,
        "Weight of the Fisher information in the metric 1 + eta g^2; 0 is SAM.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Fisher SAM around SGD."""
        from ..optimizers.fisher_sam import FisherSAM

        return FisherSAM(parameters, rho=self.rho, eta=self.eta, **base)
