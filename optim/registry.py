"""The optimizers that a run may name; each is one file in ``methods/``."""

from collections.abc import Callable

from ..ground.named_settings import register_settings
from ..ground.registry import Registry
from .method import Method

__all__ = ["OPTIMIZERS", "register"]

OPTIMIZERS: Registry[type[Method]] = Registry("optimizer", "eigensam.optim.methods")
"""By name, the settings class of a method."""


def register(name: str, *, order: float = 100.0) -> Callable[[type[Method]], type[Method]]:
    """A decorator: the settings class below it is the optimizer of this name.

    Args:
        name: as on the command line.
        order: of lists and pictures.
    """
    return register_settings(OPTIMIZERS, name, order=order)
