"""What a run must know of an optimizer: its settings, and how it is made from them. Loads no torch."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from ..ground.settings import check_settings

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["Method"]


class Method(ABC):
    """Settings of one optimizer: a frozen data class; its fields, made by :func:`setting`, are its options and JSON.

    A file that registers a subclass is all that a new optimizer needs. Import what is heavy inside :meth:`make`.

    Attributes:
        name: in ``OPTIMIZERS``, on the command line and in JSON; set by :func:`register`.
        label: as people write it, in pictures and tables.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def closures(self) -> int:
        """How many closures a step takes, each of an equal part of the minibatch; ours: 1."""
        return 1

    @abstractmethod
    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Build the optimizer.

        Args:
            parameters: that it trains.
            seed: of whatever it draws itself.
            **base: arguments of the SGD that takes the step: ``lr``, ``momentum``, ``weight_decay``.

        Returns:
            One whose ``step`` takes a closure that returns the loss and does not call ``backward`` if it is a
            :class:`SharpnessAwareOptimizer`; any other is stepped after ``backward``.
        """

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the name, then the fields."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]
