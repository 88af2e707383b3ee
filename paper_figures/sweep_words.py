"""What several tables say of a sweep: its budget, its failures, its means."""

from collections.abc import Sequence
from typing import Any

from ..ground.intervals import Interval
from .seed_mean import has_interval, with_spread

__all__ = ["MISSING", "failures", "mean_text", "seeds_of", "shared_budget"]


MISSING = "\N{EN DASH}"
"""In the place of a number that there is none of."""


def shared_budget(groups: Sequence[dict[str, Any]]) -> str:
    """The training data and the tuning of every group in a sentence.

    Example:
        >>> settings = {"data": "digits", "epochs": 2, "batch_size": 8, "validation_fraction": 0.0}
        >>> shared_budget([{"name": "SAM", "examples": 80, "settings": settings, "seeds": [{"seed": 0}]}])
        'Every group trains on the same 80 examples of digits (2 epochs, batch 8); nothing is tuned.'
    """
    found = {
        f"{each['examples']:,} examples of {each['settings']['data']} ({each['settings']['epochs']} epochs, batch "
        f"{each['settings']['batch_size']})"
        for each in groups
    }
    if len(found) == 1:
        return f"Every group trains on the same {found.pop()}; nothing is tuned."
    each = "; ".join(sorted(found))
    return f"Groups train on {each}, with equal settings where nothing else is said; nothing is tuned."


def failures(groups: Sequence[dict[str, Any]]) -> list[str]:
    """Runs that failed, and why; means are over the others."""
    return [
        f"{each['name']}, seed {run['seed']}: failed ({run['failed']}); means are over the other seeds."
        for each in groups
        for run in each["seeds"]
        if "failed" in run
    ]


def seeds_of(groups: Sequence[dict[str, Any]], what: str = "intervals") -> str:
    """How many seeds there are, with what over them, in words."""
    counts = sorted({sum("rows" in run for run in each["seeds"]) for each in groups})
    if counts[-1] < 2:
        return "one seed, so there is no interval"
    count = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{count} seeds with 95 % {what}"


def mean_text(interval: Interval, digits: int = 2, *, signed: bool = False) -> str:
    """A mean with its half width, or what is missing.

    Example:
        >>> mean_text(Interval(1.5, 0.25)), mean_text(Interval(1.5, 0.25), signed=True)
        ('1.50 ± 0.25', '+1.50 ± 0.25')
    """
    if interval.mean != interval.mean:
        return MISSING
    found = with_spread(interval, digits)
    return f"+{found}" if signed and interval.mean >= 0 and has_interval(interval) else found
