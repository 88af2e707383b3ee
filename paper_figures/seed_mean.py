"""A mean over seeds and its interval, in words; of one seed there is no interval."""

import math
from collections.abc import Sequence
from typing import Any

from ..ground.intervals import Interval, mean_interval

__all__ = ["NO_INTERVAL", "has_interval", "seed_mean", "seeds_in_words", "with_spread"]

NO_INTERVAL = "one seed: no interval"


def seed_mean(values: Sequence[float]) -> Interval:
    """Average over seeds, with Student's 95 % interval; its half width is NaN for one seed.

    Example:
        >>> seed_mean([0.5])
        Interval(mean=0.5, half_width=nan)
    """
    return mean_interval(values) if len(values) > 1 else Interval(values[0], math.nan)


def has_interval(interval: Interval) -> bool:
    """Whether there was more than one seed."""
    return not math.isnan(interval.half_width)


def with_spread(interval: Interval, digits: int) -> str:
    """Write a mean with its half width, or the mean alone.

    Example:
        >>> with_spread(Interval(0.5, 0.125), 2), with_spread(seed_mean([0.5]), 2)
        ('0.50 ± 0.12', '0.50')
    """
    mean = f"{interval.mean:.{digits}f}"
    return f"{mean} ± {interval.half_width:.{digits}f}" if has_interval(interval) else mean


def seeds_in_words(runs: Sequence[Any], kind: str = "") -> str:
    """How many seeds an interval is over, of which some may have no value.

    Example:
        >>> seeds_in_words([0.1, 0.2]), seeds_in_words([{"x": [0.1]}, {"x": [None]}], "paired "), seeds_in_words([0.1])
        ('95 %, 2 seeds', '95 %, those of 2 paired seeds that have a value', 'one seed: no interval')
    """
    if len(runs) < 2:
        return NO_INTERVAL
    if _has_gap(runs):
        return f"95 %, those of {len(runs)} {kind}seeds that have a value"
    return f"95 %, {len(runs)} {kind}seeds"


def _has_gap(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_gap, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_has_gap, value))
    return value is None or (isinstance(value, float) and math.isnan(value))
