"""Is one thing better than another? Differences seed by seed, and their interval."""

import math
from collections.abc import Sequence

from ..ground.intervals import Interval
from .seed_mean import seed_mean

__all__ = ["nats_at_risk", "paired"]


def paired(over: Sequence[float], under: Sequence[float]) -> Interval:
    """Mean of the differences ``over - under`` of the same seeds, with Student's 95 % interval.

    Example:
        >>> round(paired([2.0, 3.0, 5.0], [1.0, 2.0, 3.0]).mean, 3)
        1.333
    """
    return seed_mean([a - b for a, b in zip(over, under, strict=True)])


def nats_at_risk(nats: Sequence[float], risks: Sequence[float], risk: float) -> float:
    """At how many nats a curve of risks reaches a risk: linear between logarithms, and never outside of the curve.

    Args:
        nats: increasing, positive.
        risks: that the curve has there; where it rises, its least value so far counts, as nats need not be spent.
        risk: to reach.

    Returns:
        The first number of nats; the least, or the greatest, where the curve starts below, or ends above.

    Example:
        >>> nats_at_risk([5, 20], [0.04, 0.02], 0.04), round(nats_at_risk([5, 20], [0.04, 0.02], 0.0283), 2)
        (5, 9.99)
    """
    if risks[0] <= risk:
        return nats[0]
    least = risks[0]
    for k in range(1, len(nats)):
        if risks[k] <= risk:
            if risks[k] <= 0 or risk <= 0:
                return nats[k]
            part = math.log(least / risk) / math.log(least / risks[k])
            return math.exp(math.log(nats[k - 1]) + part * math.log(nats[k] / nats[k - 1]))
        least = min(least, risks[k])
    return nats[-1]
