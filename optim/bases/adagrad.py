"""Gradients divided by the root of the sum of all squares so far."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base import Base, register_base, small

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["AdagradBase"]


@register_base("adagrad", order=6)
@dataclass(frozen=True)
class AdagradBase(Base):
    """``g / (sqrt(sum of g^2) + eps)`` (Duchi et al. 2011, the diagonal form of Figure 1).

    Attributes:
        eps: added to the root of the sum (torch: 1e-10).
    """

    eps: float = small(1e-10)

    def kind(self) -> "type[Optimizer]":
        """Torch's Adagrad."""
        from torch.optim import Adagrad

        return Adagrad
