"""The density of eigenvalues, smoothed by a Gaussian, with error bars."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .estimates import check_confidence, half_width
from .operators import SymmetricOperator
from .quadrature import Quadrature
from .stochastic_quadrature import PROBES, STEPS, as_quadrature

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Density", "spectral_density"]

_REACH = 6.0  # ours: standard deviations beyond the outermost nodes; 2e-9 of the mass of a Gaussian lies farther out
_PER_WIDTH = 4  # ours: grid points in a standard deviation; the trapezoidal sum is then exact to rounding
_MOST_POINTS = 200_000  # ours: one row for each node is held, 64 MB for 40 of them
_ROUNDING = 1e-6  # ours: relative to the largest node; a narrower spectrum is one point, in float32


@dataclass(frozen=True)
class Density:
    """Estimates of the smoothed density and distribution of eigenvalues; all tensors float64 on the CPU.

    The intervals are for each point alone: those of the probes (:func:`half_width`), widened by an estimate of the
    quadrature's error (:meth:`Quadrature.error`): estimates, NOT certificates. Of an exact quadrature they are points.

    Attributes:
        grid: points ``t``, increasing, shape ``(n,)``.
        density: ``phi(t) = tr g(t - A) / d`` with ``g`` the Gaussian density of standard deviation ``width``.
        lower: lower ends of its intervals, at least 0.
        upper: upper ends.
        cumulative: ``int_{-inf}^t phi``: the fraction of eigenvalues below ``t``, steps smoothed over ``width``.
        cumulative_lower: lower ends of its intervals, at least 0.
        cumulative_upper: upper ends, at most 1.
        width: standard deviation of the Gaussian.
        confidence: of the interval at one point.
        products: number of products with the operator that it rests on.
    """

    grid: Tensor
    density: Tensor
    lower: Tensor
    upper: Tensor
    cumulative: Tensor
    cumulative_lower: Tensor
    cumulative_upper: Tensor
    width: float
    confidence: float
    products: int

    def __repr__(self) -> str:
        return (
            f"Density on {len(self.grid)} points of [{self.grid[0]:.6g}, {self.grid[-1]:.6g}], smoothed by "
            f"{self.width:.3g}, {100 * self.confidence:g} % intervals, {self.products} products"
        )

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as JSON."""
        return {
            key: value.tolist() if isinstance(value, Tensor) else value
            for key, value in ((entry.name, getattr(self, entry.name)) for entry in fields(self))
        }

    def plot(self) -> "Figure":
        """The density with its intervals on a logarithmic axis, as a figure of matplotlib.

        Example:
            >>> from eigensam.landscapes.spectra.operators import DenseOperator
            >>> figure = spectral_density(DenseOperator(torch.diag(torch.tensor([0.0, 1.0]))), width=0.1).plot()
            >>> figure.axes[0].get_yscale()
            'log'
        """
        from .spectrum_picture import draw_density  # here: who draws nothing needs no matplotlib

        return draw_density(self.to_dict())


def _default_width(quadrature: Quadrature) -> float:
    """The range over the number of steps, or rounding error of the nodes where they are all the same."""
    nodes = quadrature.nodes
    smallest, largest = nodes.min().item(), nodes.max().item()
    scale = max(abs(smallest), abs(largest))
    steps = min(STEPS, quadrature.dim) if quadrature.exact else nodes.shape[1]
    return max((largest - smallest) / steps, _ROUNDING * scale) or 1.0


def _default_grid(nodes: Tensor, width: float) -> Tensor:
    lower, upper = nodes.min().item() - _REACH * width, nodes.max().item() + _REACH * width
    points = (upper - lower) / width * _PER_WIDTH + 1
    if points > _MOST_POINTS:
        raise InputError(
            f"width = {width:g} on a spectrum of length {(nodes.max() - nodes.min()).item():g} needs {points:.1e} grid "
            f"points; give a larger width, or a grid where you want to look"
        )
    return torch.linspace(lower, upper, round(points), dtype=torch.float64)


def _checked_grid(grid: Tensor) -> Tensor:
    grid = grid.detach().cpu().double()
    if grid.ndim != 1 or not len(grid):
        raise InputError(f"grid has shape {tuple(grid.shape)}; expected (n,), at least one point")
    if not (torch.isfinite(grid).all() and (grid.diff() > 0).all()):
        raise InputError("grid is not finite and increasing; sort it, without repetitions")
    return grid


def spectral_density(
    source: SymmetricOperator | Quadrature,
    *,
    width: float | None = None,
    grid: Tensor | None = None,
    confidence: float = 0.95,
    probes: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
    callback: Callable[[int], object] | None = None,
) -> Density:
    """The density of eigenvalues smoothed by a Gaussian: ``phi(t) = (1/d) sum_i g(t - lambda_i)``.

    With nodes and weights of each probe it is ``mean_z sum_i weights_i g(t - nodes_i)``; the same with the normal
    distribution function ``G`` in place of ``g`` gives the fraction of eigenvalues below ``t``.

    Args:
        source: an operator, or its quadrature (at least 2 probes).
        width: standard deviation of ``g``, positive. Default (ours): the range of the nodes over their number ``m``.
            Chebyshev coefficients of ``g`` of degree ``2 m`` are then near ``exp(-8)``, so that the bumps are those of
            the spectrum and not of the nodes; a smaller width needs more steps. Of an exact quadrature ``m = 40``.
        grid: where to evaluate, increasing, shape ``(n,)``. Default: 4 points in a width, as far as 6 widths beyond
            the nodes, so that the trapezoidal sum of the density is 1.
        confidence: of the interval at one point, between 0 and 1.
        probes: of ``lanczos_quadrature``, for an operator only.
        steps: likewise.
        seed: likewise.
        callback: called after each product with the number of products so far.

    Returns:
        Density on ``n`` points.

    Raises:
        InputError: a width that is not positive, so small that the default grid is too long; a grid that is not
            increasing; confidence outside (0, 1); fewer than 2 probes; what ``lanczos_quadrature`` refuses.

    Reference:
        Lin, Saad, Yang 2016, "Approximating spectral densities of large matrices", SIAM Review 58(1); Ghorbani,
        Krishnan, Xiao 2019 for Hessians of networks.

    Example:
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> density = spectral_density(DenseOperator(torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0]))), width=0.1)
        >>> round(torch.trapezoid(density.density, density.grid).item(), 6)
        1.0
        >>> round(density.cumulative[density.grid < 0.5][-1].item(), 2)
        0.75
    """
    if width is not None and not 0 < width < float("inf"):
        raise InputError(f"width = {width} is not positive and finite; leave it out for the default")
    given = None if grid is None else _checked_grid(grid)
    if not isinstance(source, Quadrature):  # before any product is paid for
        check_confidence(confidence, PROBES if probes is None else probes)
    quadrature = as_quadrature(source, probes, steps, seed, callback)
    quadrature.check_probes(confidence)
    width = _default_width(quadrature) if width is None else width
    points = _default_grid(quadrature.nodes, width) if given is None else given

    def bump(nodes: Tensor) -> Tensor:
        distance = (points[:, None] - nodes) / width
        values: Tensor = (-distance.square() / 2).exp() / (width * math.sqrt(2 * math.pi))
        return values

    def step(nodes: Tensor) -> Tensor:
        values: Tensor = torch.special.ndtr((points[:, None] - nodes) / width)
        return values

    (mean, spread), (fraction_mean, fraction_spread) = (
        _mean_and_spread(quadrature, function, confidence) for function in (bump, step)
    )
    fraction_mean = fraction_mean.clamp(0, 1)
    return Density(
        grid=points,
        density=mean,
        lower=(mean - spread).clamp_min(0),
        upper=mean + spread,
        cumulative=fraction_mean,
        cumulative_lower=(fraction_mean - fraction_spread).clamp_min(0),
        cumulative_upper=(fraction_mean + fraction_spread).clamp_max(1),
        width=width,
        confidence=confidence,
        products=quadrature.products,
    )


def _mean_and_spread(
    quadrature: Quadrature, function: Callable[[Tensor], Tensor], confidence: float
) -> tuple[Tensor, Tensor]:
    means, deviations = quadrature.averages(function)
    if quadrature.exact:
        return means[0], torch.zeros_like(means[0])
    return means.mean(0), half_width(deviations, confidence) + quadrature.error(function)
