"""The report as a Markdown page, for places that show no HTML: pull requests, repositories, notes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..ground.records import write_atomically
from ..ground.result_store import Measured
from .item import Claim, Item, Table

__all__ = ["item_page", "write_page"]


def write_page(
    path: Path, items: Mapping[str, Item], found: Mapping[str, Measured], pictures: Mapping[str, Path]
) -> None:
    """One file that shows the pictures beside it.

    Args:
        path: of the file.
        items: the sections, in order.
        found: their results.
        pictures: files of their pictures, in the folder of ``path``.
    """
    pages = [item_page(item, found[name], pictures[name].name) for name, item in items.items()]
    write_atomically(path, "\n".join(pages).encode())


def item_page(item: Item, found: Measured, picture: str) -> str:
    """The section of one item: claims, picture with caption, tables, notes, and what it was measured with.

    Args:
        item: whose section it is.
        found: its result.
        picture: address of its picture.
    """
    result = found.result
    parts = [
        f"# {item.title}",
        _table(
            ["claim", "the paper or its theory says", "we measured", "verdict", "decided by"],
            _rows(item.claims(result)),
        ),
        f"![{item.title}]({picture})",
        item.caption(result),
    ]
    for table in item.tables(result):
        parts += [_table(table.header, table.rows, table), *([table.note] if table.note else [])]
    parts += ["\n".join(f"- {sentence}" for sentence in item.notes(result))] if item.notes(result) else []
    made_with = ", ".join(f"{name} {value}" for name, value in found.made_with.items())
    return "\n\n".join([*parts, f"Measured with: {made_with}."]) + "\n"


def _rows(claims: Sequence[Claim]) -> list[list[str]]:
    return [
        [claim.claim, claim.paper, claim.measured, claim.verdict.word, claim.verdict.decided_by] for claim in claims
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], table: Table | None = None) -> str:
    right = table.right if table else ()
    lines = [header, ["---:" if i in right else "---" for i in range(len(header))], *rows]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _cell(text: str) -> str:
    """``|`` would end the cell, and a line break the table."""
    return text.replace("|", "\\|").replace("\n", " ")
