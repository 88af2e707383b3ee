"""The figures and tables that there are."""

from typing import TYPE_CHECKING

from ..ground.registry import Registry

if TYPE_CHECKING:
    from .item import Item

__all__ = ["ITEMS"]

# The name in two parts: written as one, it would say that every item's result depends on the code of all items.
ITEMS: "Registry[type[Item]]" = Registry("figure", f"{__package__}.items")
