"""Stochastic gradient descent with momentum."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...ground.errors import InputError
from ...ground.settings import setting
from ..base import Base, decay, register_base

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["SGDBase"]


@register_base("sgd", order=1)
@dataclass(frozen=True)
class SGDBase(Base):
    """``b <- momentum b + g``, ``x <- x - lr b`` (the paper's).

    Attributes:
        momentum: share of the previous direction that is kept (paper: 0.9).
        nesterov: step along ``g + momentum b`` (Sutskever et al. 2013; paper: not).

    Raises:
        InputError: a value out of range, Nesterov's step without momentum.
    """

    momentum: float = decay(0.9, "Share of the previous direction that is kept; 0.9 in the paper.")
    nesterov: bool = setting(False, "Nesterov's variant of momentum.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise InputError("nesterov needs a momentum above 0; raise momentum or leave nesterov out")

    def kind(self) -> "type[Optimizer]":
        """Torch's SGD."""
        from torch.optim import SGD

        return SGD
