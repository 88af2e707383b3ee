"""Whether a derivative along a line jumps: halve an interval, and see whether the difference halves, too."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from ...landscapes.landscape import Landscape

__all__ = ["Jump", "find_jump", "jump_of_function"]

_LAST = 10  # halvings over which the difference is watched


@dataclass(frozen=True)
class Jump:
    """The largest change that halving found.

    Attributes:
        order: of the derivative.
        change: across the last interval, less what the slope beside the first one explains.
        share: of the change ten halvings earlier: ``2^-10`` where the next derivative exists, 1 at a jump.
        width: of the last interval.
        found: whether it is a jump, as far as numbers can tell.
    """

    order: int
    change: float
    share: float
    width: float
    found: bool


def jump_of_function(function: Callable[[float], float], order: int = 1, *, grid: int = 32, halvings: int = 24) -> Jump:
    """Look for a jump of a function on [0, 1], but for two of ``grid`` parts at each end.

    Args:
        function: called at ``grid + 1 + halvings`` points.
        order: which derivative it is; only passed on.
        grid: intervals to begin with; the one that differs most from its neighbours is halved.
        halvings: how often.

    Example:
        >>> jump_of_function(lambda t: float(t > 0.3)).found, jump_of_function(math.sin).found
        (True, False)
    """
    values = [function(k / grid) for k in range(grid + 1)]
    steps = [after - before for before, after in itertools.pairwise(values)]
    # What the neighbours say that a smooth function does: a jump may be less than that, or against it.
    inner = range(2, grid - 2)  # with two neighbours on each side
    smooth = {k: median([*steps[k - 2 : k], *steps[k + 1 : k + 3]]) for k in inner}
    best = max(inner, key=lambda k: abs(steps[k] - smooth[k]))
    slope = smooth[best] * grid

    def rest(change: float, distance: float) -> float:
        return abs(change - slope * distance)

    low, high = best / grid, (best + 1) / grid
    at_low, at_high = values[best], values[best + 1]
    changes = [rest(at_high - at_low, high - low)]
    for _ in range(halvings):
        middle = (low + high) / 2
        value = function(middle)
        if rest(value - at_low, middle - low) >= rest(at_high - value, high - middle):
            high, at_high = middle, value
        else:
            low, at_low = middle, value
        changes.append(rest(at_high - at_low, high - low))
    earlier = changes[-1 - _LAST]
    share = changes[-1] / earlier if earlier > 0 else 0.0
    noise = 1e-10 * max(map(abs, values))  # rounding of a derivative of third order in float64, with room
    found = math.isfinite(share) and share > 0.5 and changes[-1] > noise
    return Jump(order, changes[-1], share, high - low, found)


def find_jump(landscape: Landscape, x: Tensor, directions: Tensor, orders: tuple[int, ...] = (1, 2, 3)) -> Jump:
    """The lowest derivative of a loss that jumps on lines through ``x``, or the one that came closest to it.

    Args:
        landscape: its mean loss, in float64.
        x: where the lines begin.
        directions: as rows: each line goes to ``x`` plus its row.
        orders: which derivatives, 1 to 3.
    """
    nearest: Jump | None = None
    for order in orders:
        for row in directions:
            length = float(row.norm())
            u = row / length
            coefficients = (0.0,) * (order - 1) + (1.0,)

            def derivative(t: float, row: Tensor = row, u: Tensor = u, c: tuple[float, ...] = coefficients) -> float:
                point = x + t * row
                given = landscape.gradient(point) if len(c) == 1 else landscape.taylor_gradient(point, u, c)
                with torch.no_grad():
                    return float(given @ u)

            found = jump_of_function(derivative, order)
            if found.found:
                return found
            if nearest is None or found.share > nearest.share:
                nearest = found
    assert nearest is not None
    return nearest
