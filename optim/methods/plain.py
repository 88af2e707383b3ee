"""The base optimizer alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..method import Method
from ..registry import register

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["PlainSettings"]


@register("plain", order=1.5)
@dataclass(frozen=True)
class PlainSettings(Method):
    """Nothing of its own: one gradient a step, along which any base steps."""

    label = "Base optimizer alone"

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, base: Any, **arguments: Any) -> "Optimizer":
        """The base optimizer itself."""
        made: Optimizer = base(parameters, **arguments)
        return made
