"""The table of all inequalities, generated: ``python -m eigensam.bounds.pac_bayes.table docs/certificates.md``."""

import re
import sys
from pathlib import Path

from .inequality import PacBayesInequality
from .registry import PAC_BAYES

__all__ = ["in_page", "table"]

BEGIN, END = "<!-- inequalities -->", "<!-- /inequalities -->"


def table() -> str:
    """What every inequality declares, as Markdown.

    Example:
        >>> print(table().splitlines()[2][:54])
        | `maurer` | `Maurer` | kl⁻¹(r, (KL + ln(ξ(n)/δ)) / n)
    """
    head = [
        "name",
        "class",
        "upper value of the Gibbs risk",
        "free parameter",
        "δ is spent",
        "loss",
        "examples",
        "at least",
        "prior may see",
        "source",
    ]
    rows = [head, ["---"] * len(head), *(_row(name, each) for name, each in PAC_BAYES.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def in_page(page: str) -> str:
    """A page with the table between the two marks."""
    return re.sub(f"(?<={BEGIN}\n).*(?=\n{END})", lambda _: table(), page, flags=re.DOTALL)


def _row(name: str, each: type[PacBayesInequality]) -> list[str]:
    return [
        f"`{name}`",
        f"`{each.__name__}`",
        each.formula,
        each.free_parameter,
        each.delta_spent,
        each.loss_range,
        each.sampling,
        str(each.least_examples),
        each.prior_may_see,
        each.reference,
    ]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(in_page(path.read_text(encoding="utf-8")), encoding="utf-8")
