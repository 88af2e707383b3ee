"""The figures and tables that there are, and the presets."""

from typing import TYPE_CHECKING

from ..ground.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from .item import Item
    from .preset import Preset

__all__ = ["ITEMS", "PRESETS"]

# Each name in two parts: written as one, it would say that every item's result depends on the code of all items.
ITEMS: "Registry[type[Item]]" = Registry("figure", f"{__package__}.items")
PRESETS: "Registry[Callable[[], Preset]]" = Registry("preset", f"{__package__}.presets")
