"""Gradients divided by a running magnitude."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...ground.settings import setting
from ..base import Base, decay, register_base, small

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["RMSpropBase"]


@register_base("rmsprop", order=4)
@dataclass(frozen=True)
class RMSpropBase(Base):
    """``g / (sqrt(v) + eps)`` with the running mean ``v`` of squares (Tieleman & Hinton 2012, lecture 6.5).

    Attributes:
        alpha: share of the mean of squares that is kept (torch: 0.99).
        momentum: share of the previous direction that is kept (torch: 0).
        centered: divide by the standard deviation instead (Graves 2013; torch: not).
        eps: added to the root of ``v`` (torch: 1e-8).
    """

    alpha: float = decay(0.99, "Share of the running mean of squared gradients that each step keeps.")
    momentum: float = decay(0.0, "Share of the previous direction that is kept; 0 is torch's default.")
    centered: bool = setting(False, "Subtract the squared mean of gradients, so that their deviation divides.")
    eps: float = small()

    def kind(self) -> "type[Optimizer]":
        """Torch's RMSprop."""
        from torch.optim import RMSprop

        return RMSprop
