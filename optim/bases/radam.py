"""Adam whose first steps are no larger than their variance allows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..adaptive_moments import AdaptiveMoments
from ..base import register_base

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["RAdamBase"]


@register_base("radam", order=5)
@dataclass(frozen=True)
class RAdamBase(AdaptiveMoments):
    """Rectified Adam (Liu et al. 2020, Algorithm 2)."""

    def kind(self) -> "type[Optimizer]":
        """Torch's RAdam."""
        from torch.optim import RAdam

        return RAdam
