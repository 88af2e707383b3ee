"""m-SAM in a run."""

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

__all__ = ["MSAMSettings"]


@register("m-sam", order=12)
@dataclass(frozen=True)
class MSAMSettings(Method):
    """Settings of :class:`MSAM`.

    Attributes:
        rho: perturbation radius.
        micro_batches: parts of a minibatch, each with a perturbation of its own.
    """

    label = "m-SAM"
    rho: float = radius()
    micro_batches: int = setting(
        4,
        "Equal parts of each minibatch, each with a perturbation of its own; 1 is SAM.",
        holds=lambda value: value >= 1,
        otherwise="must be at least 1",
    )

    @property
    def closures(self) -> int:
        """One for each micro-batch."""
        return self.micro_batches

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """m-SAM around SGD."""
        from ..optimizers.m_sam import MSAM

        return MSAM(parameters, rho=self.rho, **base)
