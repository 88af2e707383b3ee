"""The largest loss in a ball around a point, by ascent, beside the mean over random directions."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, SupportsFloat

import numpy as np
import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape
from ..rounding.real import real_number
from ..rounding.whole import whole_number
from .ascent import Ascent, Ball, ascend, dot, norm
from .trust_region import largest_in_ball

__all__ = ["AscentStart", "WorstCase", "worst_case_loss"]

_Maker = Callable[[], Tensor]


@dataclass(frozen=True)
class AscentStart:
    """One start of an ascent.

    Attributes:
        name: what it is: ``gradient``, ``direction 1 +``, ``trust region``, ``random 1`` and so on.
        first: the loss there.
        last: the loss that its ascent reached.
        gradients: how many the ascent took; 0 if none were left.
        converged: whether it ended because there was nothing more to climb.
    """

    name: str
    first: float
    last: float
    gradients: int
    converged: bool


@dataclass(frozen=True)
class WorstCase:
    """The largest loss that was found in a ball: a lower bound of the largest one, hence an estimate of it.

    Attributes:
        value: largest loss found, at ``x + perturbation``.
        loss: the loss at ``x``.
        radius: of the ball.
        start: name of the start that led there.
        converged: whether that ascent ended because there was nothing more to climb.
        gradient_norm: ``|g|`` at ``x``.
        first_order: ``loss + r |g|``, what SAM's linear approximation takes the largest loss for.
        second_order: ``loss + max_s <g, s> + s^T H s / 2`` over ``|s| <= r`` in the span of ``g`` and the directions;
            None where the span is empty.
        sigma: ``r / sqrt(d)``: standard deviation of Gaussian noise of that size.
        gaussian_mean: mean loss under ``N(x, sigma^2 I)``, by pairs of opposite draws.
        gaussian_error: its standard error; 0 with one pair, which has none.
        starts: all of them, the best first value first.
        evaluations: losses that were computed, besides those with a gradient.
        gradients: gradients that were computed.
        products: Hessian products that were computed.
        perturbation: ``e``, shape ``(d,)``; not in the dictionary.
        kind: ``estimate``, always.
    """

    value: float
    loss: float
    radius: float
    start: str
    converged: bool
    gradient_norm: float
    first_order: float
    second_order: float | None
    sigma: float
    gaussian_mean: float
    gaussian_error: float
    starts: list[AscentStart]
    evaluations: int
    gradients: int
    products: int
    perturbation: Tensor = field(repr=False)
    kind: str = "estimate"

    @property
    def rise(self) -> float:
        """``value - loss``: the surrogate gap of GSAM, from below."""
        return self.value - self.loss

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready dictionary, without the perturbation."""
        names = [name for name in self.__dataclass_fields__ if name not in ("perturbation", "starts")]
        return {
            **{name: getattr(self, name) for name in names},
            "rise": self.rise,
            "starts": [asdict(start) for start in self.starts],
        }


def worst_case_loss(
    landscape: Landscape,
    x: Tensor,
    radius: SupportsFloat,
    *,
    directions: Tensor | None = None,
    gradients: int = 100,
    random_starts: int = 2,
    draws: int = 4,
    seed: int = 0,
) -> WorstCase:
    """Climb to ``max_{|e| <= r} f(x + e)`` from several starts on the sphere: a lower bound of it, an estimate.

    Starts are ``r g / |g|``, both signs of each given direction, the solution of the quadratic model in their span, and
    random ones. Where ``x`` is a minimum, ``g`` is noise and the top eigenvectors are the way up; the gradient alone
    finds nothing at a stationary point. The losses at all starts are compared first; then the best start's ascent may
    take half of the gradients, the next one half of what is left, and so on. With ``r = sigma sqrt(d)`` the ball's
    surface is where ``N(x, sigma^2 I)`` has its mass in many dimensions, so that the worst case and the mean are of
    perturbations of the same length.

    Args:
        landscape: its mean loss is ``f``.
        x: centre, shape ``(d,)``.
        radius: ``r > 0``.
        directions: rows, shape ``(k, d)``, of any lengths but 0, as top eigenvectors; each costs a Hessian product.
        gradients: how many to spend, at least 2; losses and Hessian products come on top.
        random_starts: how many.
        draws: pairs of opposite Gaussian perturbations for the mean, at least 1.
        seed: of the random numbers.

    Raises:
        InputError: an argument out of range; a loss or gradient that is not finite; a radius that the precision of
            ``x`` does not resolve; no start, as the gradient is 0 and nothing else was asked for.

    Example:
        ``f = |x - c|^2 / 2`` at distance 1 from its minimum: ``max f = (1 + r)^2 / 2``.

        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic(torch.eye(3), centres=[[1.0, 0.0, 0.0]])
        >>> found = worst_case_loss(f, torch.zeros(3, dtype=torch.float64), 0.5)
        >>> found.start, round(found.value, 9), round(found.first_order, 9), found.gaussian_mean < found.value
        ('gradient', 1.125, 1.0, True)
    """
    r = _checked(landscape, x, radius)
    gradients, random_starts = whole_number("gradients", gradients, 2), whole_number("random_starts", random_starts)
    draws, seed = whole_number("draws", draws, 1), whole_number("seed", seed)
    rows = _unit_rows(directions, x)
    x = x.detach()
    ball = Ball(landscape, x, r)
    base, g = ball.loss(torch.zeros_like(x)), ball.gradient(torch.zeros_like(x))
    length = norm(g)
    first = g / length if length > 0 else None
    if first is None and not len(rows) and not random_starts:
        raise InputError("the gradient is 0, which is no direction to climb in; give directions or random_starts")
    basis = _basis(([] if first is None else [first]) + list(rows))
    rise, step = _quadratic(ball, g, basis)

    generator = torch.Generator().manual_seed(seed)
    starts = _starts(r, first, rows, step)
    for i, start_seed in enumerate(torch.randint(2**62, (random_starts,), generator=generator).tolist(), 1):
        starts.append((f"random {i}", partial(_random_start, x, r, start_seed)))
    found = [(name, make, ball.loss(make())) for name, make in starts]
    found.sort(key=lambda start: -start[2])
    best, start, summary = Ascent(torch.zeros_like(x), base, 0, first is None), "the point itself", []
    for i, (name, make, value) in enumerate(found, 1):
        left = gradients - ball.gradients
        ended = ascend(ball, make(), value, base, left if i == len(found) else (left + 1) // 2)
        summary.append(AscentStart(name, value, ended.value, ended.gradients, ended.converged))
        if ended.value > best.value:
            best, start = ended, name
    mean, error = _gaussian_mean(ball, draws, generator)
    return WorstCase(
        value=best.value,
        loss=base,
        radius=r,
        start=start,
        converged=best.converged,
        gradient_norm=length,
        first_order=base + r * length,
        second_order=base + rise if basis else None,
        sigma=r / math.sqrt(landscape.dim),
        gaussian_mean=mean,
        gaussian_error=error,
        starts=summary,
        evaluations=ball.evaluations,
        gradients=ball.gradients,
        products=len(basis),
        perturbation=best.perturbation,
    )


def _checked(landscape: Landscape, x: Tensor, radius: SupportsFloat) -> float:
    r = real_number("radius", radius, "down")
    if not 0 < r < 1e30:
        raise InputError(f"radius = {radius} is not positive and finite; give e.g. 0.05")
    if x.shape != (landscape.dim,) or not bool(x.isfinite().all()):
        raise InputError(f"x has shape {tuple(x.shape)}; need finite numbers of shape ({landscape.dim},)")
    if x.dtype != landscape.dtype:
        raise InputError(f"x is of type {x.dtype}, the landscape of {landscape.dtype}; convert one of them")
    resolved = 16 * torch.finfo(x.dtype).eps * norm(x)
    if r < resolved:
        raise InputError(
            f"radius = {radius} is below what {x.dtype} resolves at this x, {resolved:.2g}; convert to float64"
        )
    return r


def _unit_rows(directions: Tensor | None, x: Tensor) -> list[Tensor]:
    if directions is None:
        return []
    if directions.ndim != 2 or directions.shape[1] != len(x):
        raise InputError(f"directions have shape {tuple(directions.shape)}; need (k, {len(x)}), one in each row")
    rows = [row.detach().to(x) for row in directions]
    lengths = [norm(row) for row in rows]
    if not all(0 < length < math.inf for length in lengths):
        raise InputError(f"directions have lengths {lengths}; need finite ones that are not 0")
    return [row / length for row, length in zip(rows, lengths, strict=True)]


def _basis(vectors: list[Tensor]) -> list[Tensor]:
    """An orthonormal basis of their span, by Gram and Schmidt, twice; what is nearly dependent is left out."""
    basis: list[Tensor] = []
    for vector in vectors:
        rest = vector.clone()
        for _ in range(2):
            for b in basis:
                rest.sub_(b, alpha=dot(b, rest))
        length = norm(rest)
        if length > 1e-3:
            basis.append(rest / length)
    return basis


def _quadratic(ball: Ball, g: Tensor, basis: list[Tensor]) -> tuple[float, Tensor | None]:
    """Largest rise of the quadratic model in the span and where, None where it is at the centre."""
    if not basis:
        return 0.0, None
    products = [ball.landscape.hessian_product(ball.x, b).detach() for b in basis]
    hessian = np.array([[dot(a, h) for h in products] for a in basis])
    if not np.isfinite(hessian).all():
        raise InputError("a Hessian product at x is not finite; take another point or loss")
    rise, s = largest_in_ball(np.array([dot(b, g) for b in basis]), (hessian + hessian.T) / 2, ball.radius)
    step = torch.zeros_like(g)
    for weight, b in zip(s, basis, strict=True):
        step.add_(b, alpha=float(weight))
    return rise, step if norm(step) > 0 else None


def _starts(r: float, first: Tensor | None, rows: list[Tensor], step: Tensor | None) -> list[tuple[str, _Maker]]:
    """Names, and how to make them again: all at once would be many long vectors."""
    found: list[tuple[str, _Maker]] = []
    if first is not None:
        found.append(("gradient", partial(torch.mul, first, r)))
    for i, row in enumerate(rows, 1):
        found += [(f"direction {i} +", partial(torch.mul, row, r)), (f"direction {i} -", partial(torch.mul, row, -r))]
    if step is not None and rows:  # else it is that of the gradient
        found.append(("trust region", step.clone))
    return found


def _random_start(x: Tensor, r: float, seed: int) -> Tensor:
    z = _normal(x, torch.Generator().manual_seed(seed))
    return z.mul_(r / norm(z))


def _normal(x: Tensor, generator: torch.Generator) -> Tensor:
    """``z ~ N(0, I)``, the same numbers on every device."""
    return torch.randn(len(x), generator=generator, dtype=torch.float64).to(x)


def _gaussian_mean(ball: Ball, draws: int, generator: torch.Generator) -> tuple[float, float]:
    """Mean loss under the Gaussian of the ball's size, and its standard error, from pairs of opposite draws."""
    pairs, sigma = [], ball.radius / math.sqrt(len(ball.x))
    for _ in range(draws):
        e = _normal(ball.x, generator).mul_(sigma)
        pairs.append((ball.loss(e) + ball.loss(-e)) / 2)
    return float(np.mean(pairs)), float(np.std(pairs)) / math.sqrt(max(1, draws - 1))
