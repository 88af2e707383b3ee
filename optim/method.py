"""What a run must know of an optimizer: its settings, and how it is made from them. Loads no torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from ..ground.errors import InputError
from ..ground.settings import check_settings
from .registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

__all__ = ["Method", "method_from_dict", "register"]


class Method(ABC):
    """Settings of one optimizer: a frozen data class; its fields, made by :func:`setting`, are its options and JSON.

    A file that registers a subclass is all that a new optimizer needs. Import what is heavy inside :meth:`make`.

    Attributes:
        name: in :data:`OPTIMIZERS`, on the command line and in JSON; set by :func:`register`.
        label: as people write it, in pictures and tables.
    """

    name: ClassVar[str]
    label: ClassVar[str]

    def __post_init__(self) -> None:
        check_settings(self)

    @abstractmethod
    def make(self, parameters: "Iterable[Tensor]", *, seed: int, **base: Any) -> "Optimizer":
        """Build the optimizer.

        Args:
            parameters: that it trains.
            seed: of whatever it draws itself.
            **base: arguments of the SGD that takes the step: ``lr``, ``momentum``, ``weight_decay``.

        Returns:
            One whose ``step`` takes a closure that returns the loss and does not call ``backward`` if it is a
            :class:`TwoPassOptimizer`; any other is stepped after ``backward``.
        """

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary: the name, then the fields."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]


def register(name: str, *, order: float = 100.0) -> Callable[[type[Method]], type[Method]]:
    """A decorator: the settings class below it is the optimizer of this name.

    Args:
        name: as on the command line.
        order: of lists and pictures.
    """

    def add(kind: type[Method]) -> type[Method]:
        kind.name = name
        return OPTIMIZERS.register(name, order=order)(kind)

    return add


def method_from_dict(found: Any) -> Method:
    """Inverse of :meth:`Method.to_dict`.

    Raises:
        InputError: an unknown name or setting, or a value out of range.
    """
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        raise InputError(f"{found!r:.60} is not an optimizer; expected its name and settings")
    kind = OPTIMIZERS[found["name"]]
    try:
        return kind(**{name: value for name, value in found.items() if name != "name"})
    except TypeError as error:
        raise InputError(f"settings of '{found['name']}' do not fit: {error}") from None
