"""What alone would bring a bound down to 1: more examples, a shorter way, a flatter loss."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from .best_posterior import Problem, best_posterior, pinsker

__all__ = ["Repairs", "repairs"]

_HALVINGS = 30  # of an interval of logarithms: one part in 10^7 or better
_MOST_EXAMPLES = 1e18


@dataclass(frozen=True)
class Repairs:
    """For each quantity the value at which the best bound is 1, the others as they are; None if there is none.

    Attributes:
        examples: ``n``; at least the one there is.
        distance: ``|x - x0|``; at most the one there is.
        curvature: what the curvature's term and the remainder would be multiplied by, for each sigma; at most 1.

    Example:
        >>> Repairs(1e5, None, 0.1).to_dict()
        {'examples': 100000.0, 'distance': None, 'curvature': 0.1}
    """

    examples: float | None
    distance: float | None
    curvature: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Give a JSON-ready dictionary."""
        return asdict(self)


def repairs(problem: Problem) -> Repairs:
    """Find them by bisection; sigma and prior are the best ones for every value that is tried.

    In each of the three the best bound is monotone, as it is for fixed sigma and prior.

    Args:
        problem: whose best value is above 1, in units of the loss's upper bound.
    """

    def value(**changes: Any) -> float:
        return best_posterior(replace(problem, **changes), pinsker)[0]

    def flatter(factor: float) -> float:
        logarithm = math.log(factor)
        log_rate = problem.log_rate + logarithm / problem.power
        return value(log_slope=problem.log_slope + logarithm, log_rate=log_rate)

    n, distance = problem.examples, math.sqrt(problem.squared_distance)
    nearer = None
    if distance > 0:
        nearer = _crossing(lambda r: value(squared_distance=r * r), distance * 1e-9, distance)
    return Repairs(
        _crossing(lambda m: value(examples=m), _MOST_EXAMPLES, n),
        nearer,
        _crossing(flatter, 1e-12, 1.0),
    )


def _crossing(value: Callable[[float], float], good: float, bad: float) -> float | None:
    """Where a value that is above 1 at ``bad`` falls to 1 on the way to ``good``; None if it does not."""
    if value(good) > 1:
        return None
    low, high = math.log(good), math.log(bad)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if value(math.exp(middle)) > 1:
            high = middle
        else:
            low = middle
    return math.exp(low)
