"""Settings that Adam and its relatives share."""

from dataclasses import dataclass
from typing import Any

from .base import Base, decay, small

__all__ = ["AdaptiveMoments"]


@dataclass(frozen=True)
class AdaptiveMoments(Base):
    """Running means of the gradient and of its square (Kingma & Ba 2015, Algorithm 1).

    Attributes:
        beta1: share of the mean of gradients that is kept (Kingma & Ba: 0.9).
        beta2: share of the mean of squares that is kept (Kingma & Ba: 0.999).
        eps: added to the root of the latter (Kingma & Ba: 1e-8).
    """

    beta1: float = decay(0.9, "Share of the running mean of gradients that each step keeps.")
    beta2: float = decay(0.999, "Share of the running mean of squared gradients that each step keeps.")
    eps: float = small()

    def options(self) -> dict[str, Any]:
        """As torch's classes take them."""
        return {"betas": (self.beta1, self.beta2), "eps": self.eps}
