"""All assumptions of one run, or of one loss in closed form, as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .verdict import FAILS, HOLDS, STATEMENTS, UNDECIDED, CheckedAssumption

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["AssumptionTable"]


@dataclass(frozen=True)
class AssumptionTable:
    """What :func:`check_assumptions` and :func:`check_example` return.

    Attributes:
        subject: what was looked at, in words.
        rows: one for each assumption.
        settings: what was asked for.

    Example:
        >>> from eigensam.bounds import check_example
        >>> table = check_example("tilted-torus")
        >>> table.row("gradients bounded away from 0").verdict
        'holds'
    """

    subject: str
    rows: Sequence[CheckedAssumption]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [self.subject]
        width = max(len(row.name) for row in self.rows)
        lines += [f"{row.name:<{width}}  {row.verdict}: {row.text}" for row in self.rows]
        return "\n".join([*lines, *self.summary])

    def row(self, name: str) -> CheckedAssumption:
        """The row of that name.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no row '{name}'; there are: {', '.join(row.name for row in self.rows)}")

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """For each statement, how many of its assumptions have which verdict."""
        return {
            statement: {
                verdict: sum(statement in row.statements and row.verdict == verdict for row in self.rows)
                for verdict in (HOLDS, FAILS, UNDECIDED)
            }
            for statement in STATEMENTS
        }

    @property
    def summary(self) -> list[str]:
        """A sentence for each statement."""
        return [
            f"{statement}: " + ", ".join(f"{count} {verdict}" for verdict, count in found.items())
            for statement, found in self.counts.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """What ``eigensam assumptions --json`` writes."""
        return {
            "subject": self.subject,
            "rows": [row.to_dict() for row in self.rows],
            "counts": self.counts,
            "settings": dict(self.settings),
        }

    def plot(self) -> "Figure":
        """Verdicts as a matrix, and the curves that some rest on, as a figure of matplotlib."""
        from .picture import draw_assumptions  # here: who draws nothing needs no matplotlib

        return draw_assumptions(self.subject, self.rows)
