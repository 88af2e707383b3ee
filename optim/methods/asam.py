"""ASAM in a run."""

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

__all__ = ["ASAMSettings"]


@register("asam", order=4)
@dataclass(frozen=True)
class ASAMSettings(Method):
    """Settings of :class:`ASAM`.

    Attributes:
        rho: radius relative to the weights (released code: 0.5).
        eta: added to the weights' magnitudes (released code: 0.01).
    """

    label = "ASAM"
    rho: float = radius(0.5, "Radius relative to the weights; the released code of ASAM uses 0.5, and 1 for CIFAR-100.")
    eta: float = setting(
        0.01,
        "Added to the magnitude of each weight, so that those near 0 move, too; 0.01 in the released code of ASAM.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """ASAM around SGD."""
        from ..optimizers.asam import ASAM

        return ASAM(parameters, rho=self.rho, eta=self.eta, **base)
