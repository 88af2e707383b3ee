"""The table of all schemes, generated: ``python -m eigensam.sde.simulation.scheme_table docs/simulation.md``."""

import re
import sys
from pathlib import Path
from typing import get_args

from .scheme import SCHEMES, Noise, Scheme

__all__ = ["in_page", "table"]

BEGIN, END = "<!-- schemes -->", "<!-- /schemes -->"


def table() -> str:
    """What every scheme declares, as Markdown: a row for each, a column for each kind of noise.

    Example:
        >>> print(table().splitlines()[2].rsplit(" |", 2)[0])
        | `euler-maruyama` | ito | normal | 1, 1 | 1, 1/2 | 1, 1/2 | 1, 1/2 | 1, 1/2
    """
    kinds = get_args(Noise)
    head = ["scheme", "calculus", "increments", *kinds, "source"]
    rows = [head, ["---"] * len(head), *(_row(name, scheme, kinds) for name, scheme in SCHEMES.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def in_page(page: str) -> str:
    """A page with the table between the two marks."""
    return re.sub(f"(?<={BEGIN}\n).*(?=\n{END})", lambda _: table(), page, flags=re.DOTALL)


def _row(name: str, scheme: Scheme, kinds: tuple[Noise, ...]) -> list[str]:
    increments = scheme.increments + (", signs" if scheme.signs else "")
    cells = [
        f"{_order(scheme.weak_order.get(kind))}, {_order(scheme.strong_order.get(kind))}"
        if kind in scheme.weak_order
        else "refused"
        for kind in kinds
    ]
    return [f"`{name}`", scheme.calculus, increments, *cells, scheme.source]


def _order(order: float | None) -> str:
    if order is None:
        return "none"
    whole, half = divmod(round(2 * order), 2)
    return f"{2 * whole + 1}/2" if half else str(whole)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(in_page(path.read_text(encoding="utf-8")), encoding="utf-8")
