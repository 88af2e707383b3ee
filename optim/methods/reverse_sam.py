"""Reverse-SAM in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["ReverseSAMSettings"]


@register("reverse-sam", order=6)
@dataclass(frozen=True)
class ReverseSAMSettings(Method):
    """Settings of :class:`ReverseSAM`.

    Attributes:
        rho: perturbation radius.
    """

    label = "Reverse-SAM"
    rho: float = radius()

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Reverse-SAM around SGD."""
        from ..optimizers.reverse_sam import ReverseSAM

        return ReverseSAM(parameters, rho=self.rho, **base)
