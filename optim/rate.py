"""What a run must know of a schedule of the learning rate; each is one file in ``rates/``. Loads no torch."""

from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import ClassVar

from ..ground.named_settings import NamedSettings, register_settings
from ..ground.registry import Registry

__all__ = ["RATES", "Rate", "register_rate"]


class Rate(NamedSettings):
    """Settings of one schedule: a frozen data class; its fields, made by :func:`setting`, are its options and JSON.

    A file that registers a subclass is all that a new schedule needs.

    Attributes:
        name: in ``RATES``, on the command line and in JSON; set by :func:`register_rate`.
        extendable: whether a training of more epochs begins like one of fewer, so that a finished one can go on.

    Example:
        >>> from eigensam.optim import RATES
        >>> RATES["cosine"]().factor(5, epochs=10)
        0.5
    """

    extendable: ClassVar[bool]

    @abstractmethod
    def factor(self, epoch: float | Fraction, epochs: int) -> float:
        """What the initial learning rate is multiplied by; depends on nothing else.

        Args:
            epoch: how many epochs have been trained, in ``[0, epochs)``; steps within an epoch are fractions of it, and
                a run gives them exactly.
            epochs: of the whole training.

        Returns:
            A number that is at least 0.
        """


RATES: Registry[type[Rate]] = Registry("schedule", "eigensam.optim.rates")
"""By name, the settings class of a schedule of the learning rate."""


def register_rate(name: str, *, order: float = 100.0) -> Callable[[type[Rate]], type[Rate]]:
    """A decorator: the settings class below it is the schedule of this name.

    Args:
        name: as on the command line.
        order: of lists.
    """
    return register_settings(RATES, name, order=order)
