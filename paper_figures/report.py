"""The self-contained report: pictures embedded, "paper says" beside "we measured"."""

import base64
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..ground.records import write_atomically
from .section import Section
from .verdict import VERDICTS

__all__ = ["differences", "duration", "write_report"]

_OWN = ("device", "dtype", "threads")  # of each measurement


def differences(made_with: Mapping[str, Mapping[str, Any]]) -> list[str]:
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


def duration(seconds: float) -> str:
    """In words.

    Example:
        >>> duration(3.21), duration(400), duration(8000), duration(float("nan"))
        ('3.2 s', '6 min 40 s', '2 h 13 min', 'not known')
    """
    if math.isnan(seconds):
        return "not known"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def write_report(path: Path, preset: str, sections: Sequence[Section]) -> None:
    """One HTML file that needs nothing beside it; its links to other files are relative.

    Args:
        path: of the file.
        preset: its name.
        sections: in order; the paper's go first.
    """
    ordered = sorted(sections, key=lambda section: not section.in_the_paper)
    entries = [_entry(section, path.parent) for section in ordered]
    rows = [row for entry in entries for row in entry["rows"]]
    groups = [
        ("Figures and tables of the paper", [entry for entry in entries if entry["section"].in_the_paper]),
        ("Beside the paper", [entry for entry in entries if not entry["section"].in_the_paper]),
    ]
    groups = [(title, group) for title, group in groups if group]
    environment = Environment(
        loader=PackageLoader("eigensam.paper_figures", "."), autoescape=True, undefined=StrictUndefined
    )
    html = environment.get_template("report.html.j2").render(
        preset=preset,
        entries=entries,
        contents=groups,
        rows=rows,
        counts=[(title, _counts(group)) for title, group in groups],
        differences=differences({section.label: section.made_with for section in ordered if not section.failed}),
    )
    write_atomically(path, html.lstrip().encode())


def _counts(entries: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """How often each verdict was reached."""
    words = [claim.verdict.word for entry in entries for _, claim in entry["rows"]]
    return [(word, words.count(word)) for word in VERDICTS]


def _entry(section: Section, folder: Path) -> dict[str, Any]:
    """What the template needs besides the section itself."""
    took = {"measured in": duration(section.seconds)}
    return {
        "section": section,
        "picture": _embedded(section.picture),
        "stacked": _embedded(section.stacked),
        "rows": [(section.name, claim) for claim in section.claims],
        "size": {name: _in_words(value) for name, value in section.size.items()},
        "made_with": {name: _in_words(value) for name, value in section.made_with.items()} | took,
        "links": [(kind, quote(os.path.relpath(file, folder))) for kind, file in section.files.items()],
    }


def _embedded(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode() if svg else ""


def _in_words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
