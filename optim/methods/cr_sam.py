"""CR-SAM in a run."""

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

__all__ = ["CRSAMSettings"]


@register("cr-sam", order=8)
@dataclass(frozen=True)
class CRSAMSettings(Method):
    """Settings of :class:`CRSAM`.

    Attributes:
        rho: perturbation radius (released code: 0.1).
        gamma: weight of the second difference (released code: 0.1).
        beta: weight of the first difference (released code: 0.01).
    """

    label = "CR-SAM"
    rho: float = radius()
    gamma: float = setting(
        0.1,
        "Weight of the second difference of the gradient; 0.1 in the released code of CR-SAM.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )
    beta: float = setting(
        0.01,
        "Weight of the first difference of the gradient; 0.01 in the released code of CR-SAM.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """CR-SAM around SGD."""
        from ..optimizers.cr_sam import CRSAM

        return CRSAM(parameters, rho=self.rho, gamma=self.gamma, beta=self.beta, **base)
