"""The report as a Markdown page, for places that show no HTML: pull requests, repositories, notes."""

from collections.abc import Sequence
from pathlib import Path

from ..ground.records import write_atomically
from .item import Claim, Table
from .section import Section

__all__ = ["section_page", "write_page"]


def write_page(path: Path, sections: Sequence[Section]) -> None:
    """One file that shows the pictures beside it.

    Args:
        path: of the file.
        sections: in order, with their pictures in the folder of ``path``.
    """
    pages = [section_page(each, each.files["png"].name if each.files else "") for each in sections]
    write_atomically(path, "\n".join(pages).encode())


def section_page(section: Section, picture: str) -> str:
    """One item: claims, picture with caption, tables, notes, and what it was measured with.

    Args:
        section: what is said of it.
        picture: address of its picture.
    """
    if section.failed:
        return f"# {section.title}\n\nFailed: {section.failed}\n"
    parts = [f"# {section.title}"]
    parts += ["**The result was edited after it was measured.**"] if section.edited else []
    header = ["claim", "the paper or its theory says", "we measured", "verdict", "decided by"]
    parts += [_table(header, _rows(section.claims))] if section.claims else []
    parts += [f"![{section.title}]({picture})", section.caption]
    for table in section.tables:
        parts += [_table(table.header, table.rows, table), *([table.note] if table.note else [])]
    parts += ["\n".join(f"- {sentence}" for sentence in section.notes)] if section.notes else []
    made_with = ", ".join(f"{name} {value}" for name, value in section.made_with.items())
    return "\n\n".join([*parts, f"Measured with: {made_with}."]) + "\n"


def _rows(claims: Sequence[Claim]) -> list[list[str]]:
    return [[each.claim, each.paper, each.measured, each.verdict.word, each.verdict.decided_by] for each in claims]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], table: Table | None = None) -> str:
    right = table.right if table else ()
    lines = [header, ["---:" if i in right else "---" for i in range(len(header))], *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    """``|`` would end the cell, and a line break the table."""
    return text.replace("|", "\\|").replace("\n", " ")
