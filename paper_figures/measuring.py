"""Measure items into a folder, or find them there; then draw them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..ground.console import progress_bar
from ..ground.pictures import PICTURES, save_figure
from ..ground.result_store import Measured, measured
from ..ground.workers import one_thread
from .item import Item
from .resources import Resources

__all__ = ["ALL_ITEMS", "draw_items", "measure_items", "names_of_files"]

ALL_ITEMS = "eigensam.paper_figures.items"
"""Whoever measures depends on the code of all items: a text that tells :class:`SourceCode` so (see ``registry.py``)."""


def names_of_files(items: Mapping[str, Item]) -> set[str]:
    """What the items are called in the folder."""
    return {name + end for name in items for end in (".json", *PICTURES)}


def measure_items(items: Mapping[str, Item], resources: Resources) -> dict[str, Measured]:
    """Results by name, each in ``NAME.json``, and reused from there for the same size, code and libraries.

    Raises:
        InputError: a damaged file; what an item refuses.
    """
    return {name: _measure(name, item, resources) for name, item in items.items()}


def _measure(name: str, item: Item, resources: Resources) -> Measured:
    with progress_bar(item.label) as (progress, task):

        def measure() -> Any:
            with one_thread():
                return item.measure(resources, lambda done, total: progress.update(task, completed=done, total=total))

        path = resources.out / f"{name}.json"
        kind = type(item)
        made_with = lambda: item.made_with(resources)  # noqa: E731
        return measured(path, item.key(resources), kind.__module__, measure, made_with, kind=kind)


def draw_items(items: Mapping[str, Item], found: Mapping[str, Measured], out: Path) -> dict[str, dict[str, Path]]:
    """Draw what was measured: the files of each picture, by name and kind."""
    return {name: save_figure(item.plot(found[name].result), out / name) for name, item in items.items()}
