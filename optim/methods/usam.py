"""USAM in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["USAMSettings"]


@register("usam", order=5)
@dataclass(frozen=True)
class USAMSettings(Method):
    """Settings of :class:`USAM`.

    Attributes:
        rho: length of the perturbation for a gradient of length 1.
    """

    label = "USAM"
    rho: float = radius(0.1, "Length of the perturbation for a gradient of length 1.")

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """USAM around SGD."""
        from ..optimizers.usam import USAM

        return USAM(parameters, rho=self.rho, **base)
