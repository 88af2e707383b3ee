"""Friendly-SAM in a run."""

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

__all__ = ["FriendlySAMSettings"]


@register("friendly-sam", order=20)
@dataclass(frozen=True)
class FriendlySAMSettings(Method):
    """Settings of :class:`FriendlySAM`.

    Attributes:
        rho: perturbation radius.
        sigma: how much of the average gradient is taken away (released code: 1).
        decay: weight of the past in the average (released code: 0.9).
    """

    label = "Friendly-SAM"
    rho: float = radius()
    sigma: float = setting(
        1.0,
        "How much of the average gradient the perturbation leaves out; 1 in the released code of Friendly-SAM, 0 is "
        "SAM.",
        holds=lambda value: value >= 0,
        otherwise="must be at least 0; 0 is SAM",
    )
    decay: float = setting(
        0.9,
        "Weight of the past in the average gradient (lambda in the paper of Friendly-SAM; its released code has 0.9).",
        holds=lambda value: 0 <= value < 1,
        otherwise="must lie in [0, 1)",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Friendly-SAM around the base optimizer."""
        from ..optimizers.friendly_sam import FriendlySAM

        return FriendlySAM(parameters, rho=self.rho, sigma=self.sigma, decay=self.decay, **base)
