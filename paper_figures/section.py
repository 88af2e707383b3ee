"""What the report shows of one item: all of it made from a stored result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..ground.result_store import Measured
from .item import Claim, Item, Table

__all__ = ["Section", "comparisons", "described"]


@dataclass(frozen=True)
class Section:
    """One item of the report.

    Attributes:
        name: of the item, and of its files.
        label: a few words.
        title: headline.
        in_the_paper: whether the paper has it.
        narrow: whether its picture needs half of the page only.
        incomplete: what failed of it; the rest is shown.
        failed: why there is no result; empty where there is one, and all below is empty where there is none.
        picture: SVG, panels side by side.
        stacked: SVG, panels below one another, for narrow screens.
        alt: what the picture shows, in words.
        caption: of the picture.
        claims: "paper says, we measured".
        tables: further numbers.
        notes: what a reader must know besides.
        size: settings and seeds that it was measured with.
        made_with: versions, code, machine and device of the run that measured.
        seconds: that measuring took; NaN if it is not known.
        edited: whether the result was changed after it was measured.
        files: beside the report, by kind: ``json``, ``svg``, ``pdf``, ``png``.
    """

    name: str
    label: str
    title: str
    in_the_paper: bool = False
    narrow: bool = False
    failed: str = ""
    incomplete: Sequence[str] = ()
    picture: bytes = b""
    stacked: bytes = b""
    alt: str = ""
    caption: str = ""
    claims: Sequence[Claim] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    size: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = float("nan")
    edited: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)


def comparisons(sections: Sequence[Section]) -> list[Claim]:
    """The claims of all items, in their order."""
    return [claim for each in sections for claim in each.claims]


def described(name: str, item: Item, found: Measured) -> Section:
    """All that is said of a result, without its picture."""
    return Section(
        name=name,
        label=item.label,
        title=item.title,
        in_the_paper=item.in_the_paper,
        narrow=item.narrow,
        incomplete=item.failures(found.result),
        alt=item.alt(found.result),
        caption=item.caption(found.result),
        claims=item.claims(found.result),
        tables=item.tables(found.result),
        notes=item.notes(found.result),
        size=size if isinstance(size := found.about.get("size"), dict) else {},
        made_with=found.made_with,
        seconds=found.seconds,
        edited=found.edited,
    )
