"""VaSSO in a run."""

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

__all__ = ["VaSSOSettings"]


@register("vasso", order=10)
@dataclass(frozen=True)
class VaSSOSettings(Method):
    """Settings of :class:`VaSSO`.

    Attributes:
        rho: perturbation radius.
        theta: weight of the newest gradient (released code: 0.9).
    """

    label = "VaSSO"
    rho: float = radius()
    theta: float = setting(
        0.9,
        "Weight of the newest gradient in the average that the perturbation follows; 0.9 in the released code of "
        "VaSSO, 1 is SAM.",
        holds=lambda value: 0 < value <= 1,
        otherwise="must lie in (0, 1]; 1 is SAM",
    )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """VaSSO around SGD."""
        from ..optimizers.vasso import VaSSO

        return VaSSO(parameters, rho=self.rho, theta=self.theta, **base)
