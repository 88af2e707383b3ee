"""The report as a Markdown page, for places that show no HTML: pull requests, repositories, notes."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..ground.records import write_atomically
from .item import Claim, Table
from .section import Section

__all__ = ["section_page", "write_page"]

_HEADER = ("claim", "the paper or its theory says", "we measured", "verdict", "decided by")


def write_page(path: Path, sections: Sequence[Section]) -> None:
    """One file that shows the pictures beside it.

    Args:
        path: of the file.
        sections: in order; the paper's go first.
    """
    ordered = sorted(sections, key=lambda section: not section.in_the_paper)
    write_atomically(path, "\n".join(_page(section, path.parent) for section in ordered).encode())


def _page(section: Section, folder: Path) -> str:
    if section.failed:
        return f"# {section.title}\n\n**This was not measured.** {section.failed}\n"
    return section_page(section, quote(os.path.relpath(section.files["png"], folder)))


def section_page(section: Section, picture: str) -> str:
    """One item: claims, picture with caption, tables, notes, and what it was measured with.

    Args:
        section: what is said of it.
        picture: address of its picture.
    """
    alt = (section.alt or section.title).replace("[", "\\[").replace("]", "\\]").replace("\n", " ")
    parts = [f"# {section.title}"]
    parts += ["**Edited by hand:** the stored result was changed after it was measured."] if section.edited else []
    parts += [_table(_HEADER, _rows(section.claims)), f"![{alt}]({picture})", section.caption]
    for table in section.tables:
        parts += [_table(table.header, table.rows, table), *([table.note] if table.note else [])]
    parts += ["\n".join(f"- {sentence}" for sentence in section.notes)] if section.notes else []
    made_with = ", ".join(f"{name} {value}" for name, value in section.made_with.items())
    return "\n\n".join([*parts, f"Measured with: {made_with}."]) + "\n"


def _rows(claims: Sequence[Claim]) -> list[list[str]]:
    return [list(claim.to_dict().values()) for claim in claims]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], table: Table | None = None) -> str:
    right = table.right if table else ()
    lines = [header, ["---:" if i in right else "---" for i in range(len(header))], *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    """``|`` would end the cell, and a line break the table."""
    return text.replace("|", "\\|").replace("\n", " ")
