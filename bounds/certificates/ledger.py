"""One ledger of a certificate: what was chosen, when, and what part of delta each statement spends."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, SupportsFloat

from ...ground.errors import InputError
from ..rounding.arguments import check_delta
from ..rounding.real import real_number

__all__ = ["Ledger", "LedgerEntry"]

How = Literal["frozen", "spent", "every"]


@dataclass(frozen=True)
class LedgerEntry:
    """One line.

    Attributes:
        what: was chosen or stated.
        how: ``frozen`` before the kept examples were read; ``spent``, a statement that fails with that probability at
            most; ``every``, a choice that the statement covers by itself, as it holds for all of them at once.
        delta: what it spends.
        why: in a sentence.
    """

    what: str
    how: How
    delta: float
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready dictionary."""
        return {"what": self.what, "how": self.how, "delta": self.delta, "why": self.why}


@dataclass
class Ledger:
    """The parts of delta that statements spend; they add up to at most delta, so that all hold at once.

    Sums are exact: floats are added as the fractions that they are.

    Args:
        delta: probability with which any of the statements may fail, in (0, 1).

    Raises:
        InputError: delta out of range.

    Example:
        >>> ledger = Ledger(0.05)
        >>> ledger.spend("Monte Carlo", 0.001, "the Gibbs risk is sampled")
        0.001
        >>> ledger.spend_rest("Catoni's inequality", "the risk on new data") <= 0.049
        True
        >>> ledger.spend("a second bound", 0.01, "would not fit")
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: the ledger has 0 left of delta = 0.05, 'a second bound' needs 0.01; ...
    """

    delta: float
    entries: list[LedgerEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.delta = check_delta(self.delta)
        if self._spent() > Fraction(self.delta):
            raise InputError(f"the entries spend {float(self._spent()):.6g} of delta = {self.delta:g}; spend less")

    def _spent(self) -> Fraction:
        return sum((Fraction(entry.delta) for entry in self.entries), Fraction(0))

    @property
    def left(self) -> float:
        """What is not spent yet, rounded down."""
        return max(0.0, real_number("left", Fraction(self.delta) - self._spent(), "down"))

    def spend(self, what: str, delta: SupportsFloat, why: str) -> float:
        """Take a part of delta for a statement, and return it.

        Raises:
            InputError: nothing, or more than is left.
        """
        part = real_number("delta", delta, "down")
        if not part > 0:
            raise InputError(f"'{what}' spends {delta}, which buys no statement; give it a part of delta")
        if self._spent() + Fraction(part) > Fraction(self.delta):
            raise InputError(
                f"the ledger has {self.left:.4g} left of delta = {self.delta:g}, '{what}' needs {part:.4g}; "
                "enlarge delta, or make fewer statements"
            )
        self.entries.append(LedgerEntry(what, "spent", part, why))
        return part

    def spend_rest(self, what: str, why: str) -> float:
        """Take all that is left."""
        return self.spend(what, self.left, why)

    def freeze(self, what: str, why: str) -> None:
        """Note a choice made before the kept examples were read: it costs nothing."""
        self.entries.append(LedgerEntry(what, "frozen", 0.0, why))

    def cover(self, what: str, why: str) -> None:
        """Note a choice that is free since the statement holds for every outcome at once."""
        self.entries.append(LedgerEntry(what, "every", 0.0, why))

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready dictionary, with the sum."""
        spent = real_number("spent", self._spent(), "up")
        return {"delta": self.delta, "spent": spent, "entries": [entry.to_dict() for entry in self.entries]}
