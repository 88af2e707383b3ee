"""What a run must know of an optimizer: its settings, and how it is made from them. Loads no torch."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from ..ground.named_settings import NamedSettings
from .base import Base

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

__all__ = ["Method"]


class Method(NamedSettings):
    """Settings of one optimizer: a frozen data class; its fields, made by :func:`setting`, are its options and JSON.

    A file that registers a subclass is all that a new optimizer needs. Import what is heavy inside :meth:`make`.

    Attributes:
        name: in ``OPTIMIZERS``, on the command line and in JSON; set by :func:`register`.
        label: as people write it, in pictures and tables.
    """

    label: ClassVar[str]

    @property
    def closures(self) -> int:
        """How many closures a step takes, each of an equal part of the minibatch; ours: 1."""
        return 1

    def check_base(self, base: Base) -> None:
        """Refuse a base optimizer that the method does not go with; ours: it goes with any.

        Raises:
            InputError: which base it is, and the repair.
        """

    def groups(self, model: "nn.Module") -> list[Any]:
        """What :meth:`make` is given: parameters, or groups of them; ours: all that are trainable."""
        return [p for p in model.parameters() if p.requires_grad]

    @abstractmethod
    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Build the optimizer.

        Args:
            parameters: that it trains, or groups of them.
            seed: of whatever it draws itself.
            **base: ``base``, the class of the torch optimizer that takes the step, and its arguments: ``lr``,
                ``weight_decay``, and what :meth:`Base.options` adds. One whose name a setting of this method has, too,
                has ``base_`` before it, as :class:`SharpnessAwareOptimizer` expects.

        Returns:
            One whose ``step`` takes a closure that returns the loss and does not call ``backward`` if it is a
            :class:`SharpnessAwareOptimizer`; any other is stepped after ``backward``.
        """
