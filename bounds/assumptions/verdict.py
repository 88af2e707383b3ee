"""One assumption with its verdict, and what may say which verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

__all__ = [
    "COROLLARY",
    "FAILS",
    "HOLDS",
    "STATEMENTS",
    "THEOREM_4_1",
    "THEOREM_4_2",
    "UNDECIDED",
    "CheckedAssumption",
    "Ground",
    "Verdict",
]

Verdict = Literal["holds", "fails", "cannot be decided here"]
HOLDS: Verdict = "holds"
FAILS: Verdict = "fails"
UNDECIDED: Verdict = "cannot be decided here"

Ground = Literal["proof", "measured", "interval", "sampled", "documented", "settings"]
"""What a verdict rests on.

``proof``: an argument for all parameters or inputs. ``measured``: a number that is complete for what the row says,
which is about one point or one list of examples. ``interval``: a mean with an interval at a stated confidence.
``sampled``: some points of infinitely many; it may refute and never confirm. ``documented``: what those who made the
data say of it. ``settings``: what the run records of its training.
"""

THEOREM_4_1, THEOREM_4_2, COROLLARY = "Theorem 4.1", "Theorem 4.2", "Corollary 4.2.1"
STATEMENTS: Sequence[str] = (THEOREM_4_1, THEOREM_4_2, COROLLARY)


@dataclass(frozen=True)
class CheckedAssumption:
    """A row of the table.

    Attributes:
        name: the assumption in a few words.
        statements: which theorems need it; empty for a number that is shown beside them.
        verdict: ``holds``, ``fails`` or ``cannot be decided here``.
        ground: what the verdict rests on, see :data:`Ground`.
        reason: sentences with ``{name}`` in place of each number, so that no number is printed that JSON lacks.
        numbers: by name; floats, whole numbers, texts, lists of these, or None for one that does not exist.
        source: paper, theorem, page or file that names the assumption or the argument.

    Raises:
        ValueError: an unknown word, or ``holds`` on the ground of a sample.

    Example:
        >>> row = CheckedAssumption("bounded loss", (THEOREM_4_1,), FAILS, "proof", "slope {slope}", {"slope": 0.25})
        >>> row.text
        'slope 0.25'
        >>> CheckedAssumption("smooth", (THEOREM_4_1,), HOLDS, "sampled", "no kink was met")
        Traceback (most recent call last):
        ...
        ValueError: smooth: a sample cannot say that it holds
    """

    name: str
    statements: Sequence[str]
    verdict: Verdict
    ground: Ground
    reason: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict) or self.ground not in get_args(Ground):
            raise ValueError(f"{self.name}: unknown verdict or ground: {self.verdict}, {self.ground}")
        if self.verdict == HOLDS and self.ground == "sampled":
            raise ValueError(f"{self.name}: a sample cannot say that it holds")
        if unknown := set(self.statements) - set(STATEMENTS):
            raise ValueError(f"{self.name}: unknown statements {sorted(unknown)}")

    @property
    def text(self) -> str:
        """The reason with its numbers."""
        return self.reason.format_map({name: _shown(value) for name, value in self.numbers.items()})

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON."""
        return {
            "name": self.name,
            "statements": list(self.statements),
            "verdict": self.verdict,
            "ground": self.ground,
            "reason": self.text,
            "numbers": dict(self.numbers),
            "source": self.source,
        }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(each) for each in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return "none" if value is None else str(value)
