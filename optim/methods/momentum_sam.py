"""Momentum-SAM in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register
from .sam import radius

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["MomentumSAMSettings"]


@register("momentum-sam", order=21)
@dataclass(frozen=True)
class MomentumSAMSettings(Method):
    """Settings of :class:`MomentumSAM`.

    Attributes:
        rho: perturbation radius (the released class has 0.3; the commands of its README give 3, where SAM has 0.2).
    """

    label = "Momentum-SAM"
    rho: float = radius(
        0.3, "Radius of the perturbation along the momentum; its authors take 0.3 in the code and 3 in their examples."
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Momentum-SAM around the base optimizer, whose momentum it follows."""
        from ..optimizers.momentum_sam import MomentumSAM

        return MomentumSAM(parameters, rho=self.rho, **base)
