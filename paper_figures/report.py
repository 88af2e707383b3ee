"""The self-contained report: pictures embedded, "paper says" beside "we measured"."""

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..ground.records import write_atomically
from ..ground.result_store import Provenance
from .section import Section, comparisons
from .verdict import VERDICTS

__all__ = ["differences", "duration", "write_report"]

_OWN = ("device", "dtype", "threads")  # of each measurement


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
    """One HTML file that needs nothing beside it, but links to the results in its folder.

    It opens offline, sorts its tables without a library, stacks panels on narrow screens, and follows the reader's
    choice of light or dark.

    Args:
        path: of the file.
        preset: that the items belong to.
        sections: in order; the paper's own come first.
    """
    measured = [each for each in sections if not each.failed]
    made_with = {each.label: each.made_with for each in measured}
    words = [claim.verdict.word for claim in comparisons(measured)]
    environment = Environment(
        loader=PackageLoader("eigensam.paper_figures", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"duration": duration, "image": _image, "rows": _rows}
    html = environment.get_template("report.html.j2").render(
        preset=preset,
        groups={
            "In the paper": [each for each in sections if each.in_the_paper],
            "Beside it": [each for each in sections if not each.in_the_paper],
        },
        measured=measured,
        counts={word: words.count(word) for word in VERDICTS},
        signs=dict(zip(VERDICTS, ("✓", "✗", "?"), strict=True)),
        made_with=made_with,
        differences=differences(made_with),
    )
    write_atomically(path, html.encode())


def _image(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _rows(entries: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
        for name, value in entries.items()
    ]
