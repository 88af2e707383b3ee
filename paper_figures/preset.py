"""What is measured, under a name: which items, at which size."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ..ground.registry import Registry
from .item import Item
from .registry import ITEMS

__all__ = ["PRESETS", "Preset", "find_preset"]


@dataclass(frozen=True)
class Preset:
    """One scale of the experiments.

    Attributes:
        name: on the command line.
        items: by their names in ``ITEMS``.
    """

    name: str
    items: Mapping[str, Item]

    def chosen(self, only: Collection[str] = ()) -> dict[str, Item]:
        """The preset's items, or those that are named; one that the preset does not have has its default size.

        Raises:
            InputError: there is no such item.
        """
        if not only:
            return dict(self.items)
        wanted = {name: ITEMS[name] for name in only}  # all are there before any is made
        return {name: self.items[name] if name in self.items else kind() for name, kind in wanted.items()}


PRESETS: Registry[Callable[[], Preset]] = Registry("preset", f"{__package__}.presets")  # in two parts, as ITEMS


def find_preset(name: str) -> Preset:
    """Look a preset up by its name.

    Raises:
        InputError: no preset has this name.

    Example:
        >>> list(find_preset("quick").items)[:4]
        ['weak_order', 'figure1', 'figure2', 'k_table']
    """
    return PRESETS[name]()
