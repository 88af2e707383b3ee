"""Plain stochastic gradient descent."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.errors import InputError
from ..base import Base
from ..method import Method
from ..registry import register

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["SGDSettings"]


@register("sgd", order=1)
@dataclass(frozen=True)
class SGDSettings(Method):
    """Nothing of its own: learning rate, momentum and weight decay are those of the run and of its base."""

    label = "SGD"

    def check_base(self, base: Base) -> None:
        """It is one.

        Raises:
            InputError: another base.
        """
        if base.name != "sgd":
            raise InputError(
                f"optimizer 'sgd' is SGD alone and takes no base '{base.name}'; for that base alone give optimizer "
                "'plain'"
            )

    def make(self, parameters: "Iterable[Tensor]", *, seed: int, base: Any, **arguments: Any) -> "Optimizer":
        """Torch's SGD."""
        from torch.optim import SGD

        return SGD(parameters, **arguments)
