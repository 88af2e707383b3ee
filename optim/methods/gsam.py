"""GSAM in a run."""

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

__all__ = ["GSAMSettings"]


@register("gsam", order=9)
@dataclass(frozen=True)
class GSAMSettings(Method):
    """Settings of :class:`GSAM`.

    Attributes:
        rho: perturbation radius.
        alpha: weight of the ascent across the perturbed gradient (released code: 0.4).
    """

    label = "GSAM"
    rho: float = radius()
    alpha: float = setting(
        0.4,
        "Weight of the ascent across the perturbed gradient; 0.4 in the released code of GSAM, 0 is SAM.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """GSAM around SGD."""
        from ..optimizers.gsam import GSAM

        return GSAM(parameters, rho=self.rho, alpha=self.alpha, **base)
