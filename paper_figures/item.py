"""What a figure or table of the report is: numbers that were measured, and what follows from them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..ground.result_store import Provenance, single_threaded
from ..ground.workers import one_thread
from .planned_run import PlannedRun
from .resources import Resources
from .verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Claim", "Item", "Progress", "Table"]

Progress = Callable[[int, int], None]
"""Called with the steps done and all steps."""


@dataclass(frozen=True)
class Claim:
    """One row of "the paper says, we measured", every entry computed from the measurement.

    Attributes:
        claim: in a sentence.
        paper: what the paper or its theory says of it.
        measured: the numbers.
        verdict: ``reproduced``, ``not reproduced`` or ``not resolved here``, and the number that decides.
    """

    claim: str
    paper: str
    measured: str
    verdict: Verdict

    def to_dict(self) -> dict[str, str]:
        """A JSON-ready dictionary."""
        texts = {"claim": self.claim, "paper": self.paper, "measured": self.measured}
        return {**texts, "verdict": self.verdict.word, "decided_by": self.verdict.decided_by}


@dataclass(frozen=True)
class Table:
    """Numbers below a picture, as text.

    Attributes:
        header: names of the columns; a line break in a name is one in the table.
        rows: as many texts each.
        right: columns that are set flush right, as numbers are.
        note: a sentence below.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Collection[int] = ()
    note: str = ""


_SPOKEN = 3  # claims in the words for a picture: longer ones tire who hears them


class Item(ABC):
    """A figure or table: a data class whose fields are its size, such as step sizes or seeds.

    Its class is registered in ``ITEMS``; the name there is that of its files. All fields have defaults: the size at
    which it is measured where the preset names none. Its module must be cheap to import, as the list of items
    needs it: import what computes or draws inside ``measure`` and ``plot``. A stored result is reused while
    :meth:`key` and the code of the item's module, with all that it imports, stay as they were.

    Attributes:
        label: a few words, for tables of measurements.
        title: headline of its section in the report.
        narrow: whether its picture needs half of the page only.
        in_the_paper: whether the paper, or its public discussion, has this figure or table.

    Example:
        >>> from dataclasses import dataclass
        >>> from eigensam.ground.pictures import new_figure
        >>> from eigensam.paper_figures.verdict import decide
        >>> @dataclass(frozen=True)
        ... class Squares(Item):
        ...     label, title = "squares", "Squares of the first numbers"
        ...     count: int = 3
        ...     def measure(self, resources, progress):
        ...         return [i * i for i in range(self.count)]
        ...     def plot(self, result):
        ...         figure = new_figure(1)
        ...         _ = figure.axes[0].plot(result)
        ...         return figure
        ...     def claims(self, result):
        ...         return [Claim("squares grow", "yes", str(result), decide(result[-1] > 1, f"{result[-1]} > 1"))]
        ...     def caption(self, result):
        ...         return f"The first {len(result)} squares."
        >>> item = Squares()
        >>> item.caption(item.run()), item.key(None)
        ('The first 3 squares.', {'count': 3})
    """

    label: ClassVar[str]
    title: ClassVar[str]
    narrow: ClassVar[bool] = False
    in_the_paper: ClassVar[bool] = False

    @abstractmethod
    def measure(self, resources: Resources, progress: Progress) -> Any:
        """Measure, in float64 with one thread unless it says otherwise; the result is what JSON holds."""

    @abstractmethod
    def plot(self, result: Any) -> "Figure":
        """Draw what was measured; nothing is computed anew."""

    @abstractmethod
    def claims(self, result: Any) -> list[Claim]:
        """Compare with the paper."""

    @abstractmethod
    def caption(self, result: Any) -> str:
        """Say what the picture shows."""

    def run(self, folder: Path | str = "out") -> Any:
        """Measure with one thread here and now, as :meth:`measure` without resources or progress of one's own.

        Args:
            folder: for what the item keeps besides its result, such as trainings.
        """
        with one_thread():
            return self.measure(Resources(Path(folder)), lambda done, total: None)

    def tables(self, result: Any) -> list[Table]:
        """List further numbers below the picture; none by default."""
        return []

    def notes(self, result: Any) -> list[str]:
        """List what a reader must know besides; nothing by default."""
        return []

    def failures(self, result: Any) -> list[str]:
        """Name what failed of a result that is there all the same; it is not reused, so that it is tried again."""
        return []

    def alt(self, result: Any) -> str:
        """Say in words what the picture shows to those who cannot see it: the measured numbers and their verdicts."""
        claims = self.claims(result)
        said = [f"{claim.claim}: {claim.measured}, {claim.verdict.word}" for claim in claims[:_SPOKEN]]
        more = [f"And {len(claims) - _SPOKEN} more claims in the table below"] if len(claims) > _SPOKEN else []
        return ". ".join([self.title, *said, *more]) + "."

    def with_seeds(self, count: int) -> "Item":
        """The same over so many seeds; itself where there are none."""
        return self

    def planned(self, resources: Resources) -> Sequence[PlannedRun]:
        """List the trainings that measuring takes, for an estimate of what it costs; none by default."""
        return []

    def size(self) -> dict[str, Any]:
        """Name the numbers that the item's size consists of, for the report."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def prepare(self, resources: Resources) -> None:  # noqa: B027 (most items need nothing)
        """Refuse what cannot be measured here, before any work.

        Raises:
            InputError: what is missing, and the repair.
        """

    def key(self, resources: Resources) -> Any:
        """Name all that the result depends on besides code, as JSON holds it; the item's size by default."""
        return self.size()

    def made_with(self, resources: Resources) -> Provenance:
        """Say what the result was made with, after it was measured; float64 on the CPU by default."""
        return single_threaded("cpu")
