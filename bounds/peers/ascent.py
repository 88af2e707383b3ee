"""Projected gradient ascent of a landscape's loss in a ball: every step is one upward."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape

__all__ = ["Ascent", "Ball", "ascend"]

_MOST_TRIALS = 25  # of a step's length, each a fourth of the one before
_NOTHING = 1e-8  # of the rise so far: what a gradient promises near the top is quadratic in the angle that is left
_LONGEST = 1e6  # in radii, before projection: the step then ends where the gradient points


class Ball:
    """The mean loss as a function of a perturbation in a ball, with a count of what it costs.

    Args:
        landscape: whose mean loss.
        x: centre, shape ``(d,)``.
        radius: of the ball.
    """

    def __init__(self, landscape: Landscape, x: Tensor, radius: float) -> None:
        self.landscape, self.x, self.radius = landscape, x, radius
        self.evaluations = self.gradients = 0

    def loss(self, e: Tensor) -> float:
        """``f(x + e)``.

        Raises:
            InputError: it is not finite, so that there is no largest one.
        """
        self.evaluations += 1
        with torch.no_grad():
            value = float(self.landscape.loss(self.x + e))
        if not math.isfinite(value):
            raise InputError(
                f"the loss is {value} at a point of the ball of radius {self.radius:g}; take a smaller radius or a "
                "bounded loss"
            )
        return value

    def gradient(self, e: Tensor) -> Tensor:
        """``grad f(x + e)``."""
        self.gradients += 1
        found = self.landscape.gradient(self.x + e).detach()
        if not bool(found.isfinite().all()):
            raise InputError(
                f"the gradient is not finite at a point of the ball of radius {self.radius:g}; take a smaller radius"
            )
        return found

    def projected(self, e: Tensor) -> Tensor:
        """The nearest point of the ball; ``e`` is overwritten."""
        length = norm(e)
        return e.mul_(self.radius / length) if length > self.radius else e


@dataclass(frozen=True)
class Ascent:
    """Where an ascent ended.

    Attributes:
        perturbation: ``e``.
        value: ``f(x + e)``.
        gradients: how many it took.
        converged: whether the gradient promises next to nothing for a step as long as the radius, beside the rise so
            far or the rounding of the loss.
    """

    perturbation: Tensor
    value: float
    gradients: int
    converged: bool


def norm(e: Tensor) -> float:
    """Euclidean length, summed in a precision in which no square vanishes."""
    return float(torch.linalg.vector_norm(e, dtype=torch.float64))


def dot(a: Tensor, b: Tensor) -> float:
    """Inner product of two long vectors, in float64 a piece at a time."""
    pieces = zip(a.split(1 << 20), b.split(1 << 20), strict=True)
    return sum(float(torch.dot(p.double(), q.double())) for p, q in pieces)


def ascend(ball: Ball, start: Tensor, value: float, base: float, gradients: int) -> Ascent:
    """Climb from a start in the ball by ``e <- P(e + t grad f(x + e))`` with backtracking.

    A step is taken if the loss rises by at least 1e-4 of what the gradient promises (Armijo's rule), so that the value
    never falls; ``t`` is enlarged after each success and starts so that a step is as long as the radius.

    Args:
        ball: the loss.
        start: perturbation of length at most the radius.
        value: the loss there.
        base: the loss at the centre.
        gradients: how many may be spent.
    """
    e, t = start, 0.0
    unit = torch.finfo(start.dtype).eps
    for spent in range(gradients):
        g = ball.gradient(e)
        length = norm(g)
        if length == 0:
            return Ascent(e, value, spent + 1, True)
        whole = ball.radius / length
        full = ball.projected(torch.add(e, g, alpha=whole))
        promised = dot(g, full - e)
        if promised <= max(_NOTHING * (value - base), 4 * unit * abs(value)):
            return Ascent(e, value, spent + 1, True)
        t = min(max(4 * t, whole), _LONGEST * whole)
        for _ in range(_MOST_TRIALS):
            trial = full if t == whole else ball.projected(torch.add(e, g, alpha=t))
            found = ball.loss(trial)
            if found > value and found >= value + 1e-4 * dot(g, trial - e):
                break
            t /= 4
        else:  # rounding hides what is left
            return Ascent(e, value, spent + 1, False)
        e, value = trial, found
    return Ascent(e, value, gradients, False)
