"""What a run must know of the base optimizer, which takes the step; each is one file in ``bases/``. Loads no torch."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..ground.named_settings import NamedSettings, register_settings
from ..ground.registry import Registry
from ..ground.settings import setting

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["BASES", "Base", "decay", "register_base", "small"]


class Base(NamedSettings):
    """Settings of one base optimizer: a frozen data class; its fields, made by :func:`setting`, are its options.

    A method such as SAM makes a gradient, and the base steps along it. Learning rate and weight decay are settings of
    the run, since every base has them. A file that registers a subclass is all that a new base needs. Its class must
    step along a given gradient, and keep in ``state_dict`` all that a later step depends on.

    Attributes:
        name: in ``BASES``, on the command line and in JSON; set by :func:`register_base`.

    Example:
        >>> from eigensam.optim import BASES
        >>> BASES["sgd"]().to_dict()
        {'name': 'sgd', 'momentum': 0.9, 'nesterov': False}
        >>> BASES["sgd"]().kind().__name__
        'SGD'
    """

    @abstractmethod
    def kind(self) -> "type[Optimizer]":
        """The class, one of torch.optim or like one."""

    def options(self) -> dict[str, Any]:
        """Its arguments besides ``lr`` and ``weight_decay``; ours: the fields."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]


BASES: Registry[type[Base]] = Registry("base", "eigensam.optim.bases")
"""By name, the settings class of a base optimizer."""


def register_base(name: str, *, order: float = 100.0) -> Callable[[type[Base]], type[Base]]:
    """A decorator: the settings class below it is the base optimizer of this name.

    Args:
        name: as on the command line.
        order: of lists.
    """
    return register_settings(BASES, name, order=order)


def decay(default: float, help: str) -> Any:
    """A field that says how much of a running mean is kept at each step."""
    return setting(default, help, holds=lambda value: 0 <= value < 1, otherwise="must lie in [0, 1)")


def small(default: float = 1e-8) -> Any:
    """The field ``eps`` of bases that divide by a running magnitude of the gradient."""
    return setting(
        default,
        "Added to the magnitude that the step is divided by.",
        holds=lambda value: value > 0,
        otherwise="must be positive, for where the gradient is zero",
    )
