"""Adam, whose weight decay is a part of the gradient."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..adaptive_moments import AdaptiveMoments
from ..base import register_base

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["AdamBase"]


@register_base("adam", order=3)
@dataclass(frozen=True)
class AdamBase(AdaptiveMoments):
    """Adam (Kingma & Ba 2015, Algorithm 1) of the loss with an L2 penalty."""

    def kind(self) -> "type[Optimizer]":
        """Torch's Adam."""
        from torch.optim import Adam

        return Adam
