"""The three things that a measurement can say about a claim, and the number that decides."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..ground.intervals import Interval
from .seed_mean import NO_INTERVAL, has_interval

__all__ = [
    "NOT_REPRODUCED",
    "NOT_RESOLVED",
    "REPRODUCED",
    "VERDICTS",
    "Verdict",
    "above",
    "below",
    "decide",
    "slopes_agree",
]

REPRODUCED, NOT_REPRODUCED, NOT_RESOLVED = "reproduced", "not reproduced", "not resolved here"

_TOLERANCE = 0.05  # as that of the verification itself

VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_RESOLVED)


@dataclass(frozen=True)
class Verdict:
    """One of :data:`VERDICTS`, and why.

    Attributes:
        word: the verdict.
        decided_by: the number that decides, with what it is compared with.

    Raises:
        ValueError: another word, or no reason.

    Example:
        >>> Verdict("reproduced", "slope 1.00 within 0.05 of 1")
        Verdict(word='reproduced', decided_by='slope 1.00 within 0.05 of 1')
    """

    word: str
    decided_by: str

    def __post_init__(self) -> None:
        if self.word not in VERDICTS or not self.decided_by.strip():
            raise ValueError(
                f"{self.word!r}, {self.decided_by!r}: a verdict is one of {VERDICTS}, with what decides it"
            )


def decide(holds: bool, decided_by: str) -> Verdict:
    """Of a claim that is either right or wrong.

    Example:
        >>> decide(2.0 < 1.0, "2.0 is not below 1.0").word
        'not reproduced'
        >>> decide(False, "slope nan not within 0.05 of 1").word
        'not resolved here'
    """
    if re.search(r"\bnan\b", decided_by):  # of an edited result, or a measurement that failed: no number decides
        return Verdict(NOT_RESOLVED, decided_by)
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, decided_by)


def slopes_agree(results: Sequence[tuple[float, float, str]]) -> Verdict:
    """Of a claim about many slopes: one that is another decides.

    Args:
        results: slope, order of theory, and what the verification said: ``pass``, ``fail`` or ``inconclusive``.

    Example:
        >>> slopes_agree([(1.01, 1.0, "pass"), (1.3, 1.0, "inconclusive")]).word
        'not resolved here'
        >>> slopes_agree([(1.01, 1.0, "pass")]).word, slopes_agree([(1.3, 1.0, "pass")]).word
        ('reproduced', 'not reproduced')
    """
    tolerances = [_TOLERANCE * max(1.0, order) for _, order, _ in results]
    far = [abs(slope - order) > most for (slope, order, _), most in zip(results, tolerances, strict=True)]
    unsure = sum(said == "inconclusive" for *_, said in results)
    wrong = sum(said == "fail" or (off and said == "pass") for off, (*_, said) in zip(far, results, strict=True))
    said = f"{len(results) - wrong - unsure} of {len(results)} slopes are within {_TOLERANCE:g} of theory, relative "
    said += f"above order 1 (ours); {wrong} are not, {unsure} cannot be told"
    return Verdict(NOT_RESOLVED, said) if unsure and not wrong else decide(not wrong, said)


def below(found: Interval, limit: float, what: str, digits: int = 3) -> Verdict:
    """Whether a mean over seeds lies below a limit: decided where its interval does not contain the limit.

    Args:
        found: with its interval, or without one for a single seed, which decides nothing.
        limit: that is compared with.
        what: is compared, in words.
        digits: after the point.

    Example:
        >>> below(Interval(0.8, 0.1), 1.0, "ratio")
        Verdict(word='reproduced', decided_by='ratio: [0.700, 0.900] lies below 1')
        >>> below(Interval(1.2, 0.1), 1.0, "ratio").word, below(Interval(1.0, 0.1), 1.0, "ratio").word
        ('not reproduced', 'not resolved here')
    """
    return _compared(found, limit, what, digits, wanted_below=True)


def above(found: Interval, limit: float, what: str, digits: int = 3) -> Verdict:
    """The same for a claim that the mean lies above a limit.

    Example:
        >>> above(Interval(1.2, 0.1), 1.0, "ratio")
        Verdict(word='reproduced', decided_by='ratio: [1.100, 1.300] lies above 1')
    """
    return _compared(found, limit, what, digits, wanted_below=False)


def _compared(found: Interval, limit: float, what: str, digits: int, *, wanted_below: bool) -> Verdict:
    if not math.isfinite(found.mean):
        return Verdict(NOT_RESOLVED, f"{what}: no seed has what is to be compared")
    if not has_interval(found):
        return Verdict(NOT_RESOLVED, f"{what}: {found.mean:.{digits}f}, {NO_INTERVAL}")
    interval = f"{what}: [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    if found.low <= limit <= found.high:
        return Verdict(NOT_RESOLVED, f"{interval} contains {limit:g}")
    is_below = found.high < limit
    word = REPRODUCED if is_below == wanted_below else NOT_REPRODUCED
    return Verdict(word, f"{interval} lies {'below' if is_below else 'above'} {limit:g}")
