"""The bounds that there are."""

from typing import TYPE_CHECKING

from ..ground.registry import Registry

if TYPE_CHECKING:
    from .family import BoundFamily

__all__ = ["BOUNDS"]

# The name in two parts: written as one, it would say that every bound depends on the code of all (see commands.py).
BOUNDS: "Registry[type[BoundFamily]]" = Registry("bound", f"{__package__}.families")
