"""EGR in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["EGRSettings"]


@register("egr", order=13)
@dataclass(frozen=True)
class EGRSettings(Method):
    """Settings of :class:`EGR`.

    Attributes:
        rho: weight of the gradient's norm.
    """

    label = "EGR"
    rho: float = radius(0.1, "Weight of the gradient's norm.")

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """EGR around SGD."""
        from ..optimizers.egr import EGR

        return EGR(parameters, rho=self.rho, **base)
