"""Measure items into a folder, or find them there; then make sections of the report of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..ground.console import progress_bar
from ..ground.errors import InputError
from ..ground.pictures import PICTURES, render, save_figure, stacked_panels
from ..ground.result_store import Measured, measured, stored
from ..ground.workers import one_thread
from .item import Item
from .resources import Resources
from .section import Section, described

__all__ = [
    "ALL_ITEMS",
    "Outcome",
    "draw_items",
    "measure_item",
    "measure_items",
    "names_of_files",
    "read_items",
    "section",
]

ALL_ITEMS = "eigensam.paper_figures.items"
"""Whoever measures depends on the code of all items: a text that tells :class:`SourceCode` so (see ``registry.py``)."""


@dataclass(frozen=True)
class Outcome:
    """What came of measuring or reading items.

    Attributes:
        found: results by name.
        failed: by name, why there is none.
    """

    found: dict[str, Measured] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def names_of_files(items: Mapping[str, Item]) -> set[str]:
    """What the items are called in the folder."""
    return {name + end for name in items for end in (".json", *PICTURES)}


def measure_items(items: Mapping[str, Item], resources: Resources, preset: str = "") -> Outcome:
    """Results, each in ``NAME.json``, and reused from there for the same size, code and libraries.

    An item that fails takes nothing from the others.
    """
    return _each(items, lambda name, item: measure_item(name, item, resources, preset))


def read_items(items: Mapping[str, Item], out: Path) -> Outcome:
    """Results that are in the folder, whatever code made them, and if they were edited since; nothing is measured."""
    return _each(items, lambda name, item: stored(out / f"{name}.json", type(item).__module__, type(item)))


def _each(items: Mapping[str, Item], of: Callable[[str, Item], Measured]) -> Outcome:
    outcome = Outcome()
    for name, item in items.items():
        try:
            outcome.found[name] = of(name, item)
        except InputError as error:
            outcome.failed[name] = str(error)
        except Exception as error:  # of an item, perhaps another package's: what others have measured is worth more
            outcome.failed[name] = f"{type(error).__name__}: {error}"
    return outcome


def measure_item(name: str, item: Item, resources: Resources, preset: str = "") -> Measured:
    """The result of one item.

    Raises:
        InputError: a damaged file; what the item refuses.
    """
    with progress_bar(item.label) as (progress, task):

        def measure() -> Any:
            with one_thread():
                return item.measure(resources, lambda done, total: progress.update(task, completed=done, total=total))

        path = resources.out / f"{name}.json"
        kind = type(item)
        made_with = lambda: item.made_with(resources)  # noqa: E731
        about = {"label": item.label, "title": item.title, "preset": preset, "size": item.size()}
        whole = lambda result: not item.failures(result)  # noqa: E731
        key = item.key(resources)
        return measured(path, key, kind.__module__, measure, made_with, kind=kind, about=about, reusable=whole)


def draw_items(items: Mapping[str, Item], found: Mapping[str, Measured], out: Path) -> dict[str, dict[str, Path]]:
    """Draw what was measured: the files of each picture, by name and kind."""
    return {name: save_figure(item.plot(found[name].result), out / name) for name, item in items.items()}


def section(name: str, item: Item, found: Measured, out: Path) -> Section:
    """What the report shows of a result, whose pictures are written beside it.

    Raises:
        InputError: a result that has not the form of one of this item; a folder that cannot be written.
    """
    path = out / f"{name}.json"
    try:
        said = described(name, item, found)
        figure = item.plot(found.result)
        with stacked_panels():
            stacked = render(item.plot(found.result), "svg")
    except InputError:
        raise
    except Exception as error:  # whatever a foreign or edited file leads to
        raise InputError(
            f"the result in {path} does not have the form of one of '{name}' ({type(error).__name__}: {error!s:.200}); "
            "remove the file, and measure again"
        ) from error
    files = save_figure(figure, out / name)
    return replace(said, picture=files["svg"].read_bytes(), stacked=stacked, files={"json": path, **files})
