"""SAM in a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.settings import setting
from ..method import Method
from ..registry import register

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["SAMSettings", "radius"]


def radius(
    default: float = 0.1, help: str = "Radius of the perturbation; 0.1 is what the paper's released code uses."
) -> Any:
    """The field ``rho``, which every method with a perturbation has."""
    return setting(
        default,
        help,
        holds=lambda value: value > 0,
        otherwise="must be positive; plain SGD is optimizer 'sgd'",
    )


@register("sam", order=2)
@dataclass(frozen=True)
class SAMSettings(Method):
    """Settings of :class:`SAM`.

    Attributes:
        rho: perturbation radius (released code: 0.1).
    """

    label = "SAM"
    rho: float = radius()

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """SAM around SGD."""
        from ..optimizers.sam import SAM

        return SAM(parameters, rho=self.rho, **base)
