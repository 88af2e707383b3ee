"""Intervals of means: for numbers of any kind, and for probabilities, where few events say little."""

import numpy as np

from ..statistics.histogram import proportion_intervals
from ..statistics.moments import Moments
from ..statistics.statistic import Intervals

__all__ = ["mean_intervals"]


def mean_intervals(moments: Moments, confidence: float, *, events: bool) -> Intervals:
    """Student's interval; for truth values Clopper and Pearson's, which is never too narrow, even where none is true.

    Args:
        moments: of at least two vectors.
        confidence: of each interval alone.
        events: whether all values are 0 or 1.

    Raises:
        InputError: a confidence outside (0, 1).

    Example:
        >>> never = Moments.of(np.zeros((100, 1)))
        >>> [mean_intervals(never, 0.95, events=events).high.round(3).tolist() for events in (False, True)]
        [[0.0], [0.036]]
    """
    if not events:
        return moments.mean_intervals(confidence)
    return proportion_intervals(np.rint(moments.mean * moments.count).astype(np.int64), moments.count, confidence)
