"""Plain stochastic gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["SGDSettings"]


@register("sgd", order=1)
@dataclass(frozen=True)
class SGDSettings(Method):
    """Nothing of its own: learning rate, momentum and weight decay are those of the run."""

    label = "SGD"

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Torch's SGD."""
        from torch.optim import SGD

        return SGD(parameters, **base)
