"""The self-contained report: pictures embedded, "paper says" beside "we measured"."""

import base64
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..ground.records import write_atomically
from ..ground.result_store import Measured, Provenance
from .item import Claim, Item
from .preset import Preset

__all__ = ["comparisons", "differences", "write_report"]

_OWN = ("device", "dtype", "threads")  # of each measurement


def comparisons(items: Mapping[str, Item], found: Mapping[str, Measured]) -> list[Claim]:
    """The claims of all items, in their order."""
    return [claim for name, item in items.items() for claim in item.claims(found[name].result)]


def differences(made_with: Mapping[str, Provenance]) -> list[str]:
    """What the measurements were not all made with, in words: versions, code, machine.

    Example:
        >>> differences({"a": {"torch": "2.9", "threads": 1}, "b": {"torch": "2.10", "threads": 2}})
        ['torch: 2.9 (a), 2.10 (b)']
    """
    names = dict.fromkeys(name for each in made_with.values() for name in each if name not in _OWN)
    return [
        f"{name}: " + ", ".join(f"{each.get(name)} ({figure})" for figure, each in made_with.items())
        for name in names
        if len({each.get(name) for each in made_with.values()}) > 1
    ]


def write_report(
    path: Path, preset: Preset, items: Mapping[str, Item], found: Mapping[str, Measured], pictures: Mapping[str, Path]
) -> None:
    """One HTML file that needs nothing beside it.

    Args:
        path: of the file.
        preset: that the items belong to.
        items: the sections, in order.
        found: their results.
        pictures: their pictures as SVG.
    """
    made_with = {item.label: found[name].made_with for name, item in items.items()}
    sections = [
        {
            "title": item.title,
            "narrow": item.narrow,
            "picture": "data:image/svg+xml;base64," + base64.b64encode(pictures[name].read_bytes()).decode(),
            "caption": item.caption(found[name].result),
            "tables": item.tables(found[name].result),
            "notes": item.notes(found[name].result),
        }
        for name, item in items.items()
    ]
    environment = Environment(
        loader=PackageLoader("eigensam.paper_figures", "."), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template("report.html.j2").render(
        preset=preset,
        sections=sections,
        rows=comparisons(items, found),
        sizes=_sizes(items),
        made_with=made_with,
        differences=differences(made_with),
    )
    write_atomically(path, html.encode())


def _sizes(items: Mapping[str, Item]) -> list[tuple[str, dict[str, str]]]:
    """Sizes in words; items of equal size share a table."""
    found: dict[str, tuple[list[str], dict[str, str]]] = {}
    for item in items.values():
        size = {
            name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            for name, value in item.size().items()
        }
        if size:
            found.setdefault(str(size), ([], size))[0].append(item.label)
    return [(", ".join(labels), size) for labels, size in found.values()]
