"""The optimizers that a run may name; each is one file in ``methods/``."""

from typing import TYPE_CHECKING

from ..ground.registry import Registry

if TYPE_CHECKING:
    from .method import Method

__all__ = ["OPTIMIZERS"]

OPTIMIZERS: "Registry[type[Method]]" = Registry("optimizer", "eigensam.optim.methods")
"""By name, the settings class of a method."""
