"""Adam whose weight decay is no part of the gradient."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..adaptive_moments import AdaptiveMoments
from ..base import register_base

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["AdamWBase"]


@register_base("adamw", order=2)
@dataclass(frozen=True)
class AdamWBase(AdaptiveMoments):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, Algorithm 2)."""

    def kind(self) -> "type[Optimizer]":
        """Torch's AdamW."""
        from torch.optim import AdamW

        return AdamW
