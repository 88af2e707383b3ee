"""Derivatives along directions at one point: lower estimates of what bounds them everywhere."""

import math

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape

__all__ = ["derivative_along", "estimate_fourth_derivative", "estimate_operator_norm", "estimate_third_partial"]


def derivative_along(landscape: Landscape, x: Tensor, v: Tensor, order: int) -> Tensor:
    """``D^order f(x)[v, ..., v, .]``, shape ``(d,)``: all directions but one are ``v``."""
    found: Tensor = landscape.taylor_gradient(x, v, (0.0,) * (order - 1) + (1.0,))
    return found


def estimate_operator_norm(
    landscape: Landscape, x: Tensor, directions: Tensor, *, order: int, ascents: int = 0
) -> tuple[float, Tensor]:
    """A lower estimate of ``sup |D^order f(x)[a, b, ...]|`` over unit vectors, and ``d_v^order f(x)`` of the rows.

    Every ``|D^order f(x)[v, ..., v, .]|`` is such a lower estimate, and what it points to is a better direction: a
    higher-order power iteration from the best row. Nothing is known from it about points other than ``x``.

    Args:
        landscape: ``f``.
        x: where, ``(d,)``.
        directions: unit rows, ``(k, d)``.
        order: of the derivative, 3 or 4.
        ascents: steps of the power iteration, one derivative each.

    Returns:
        The estimate, and the derivatives along the rows, ``(k,)``, float64.

    Raises:
        InputError: no direction, or one that is not of length 1; a derivative that is not finite.

    Example:
        ``f(w) = (w_1 + w_2)^4``: ``K_4 = 24 * 4``, which the first direction alone would put at ``24 * 2^(1/2)``.

        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
        >>> quartic = lambda outputs, targets: (outputs**4).mean()
        >>> f = NetworkLandscape.from_tensors(model, quartic, torch.ones(1, 2, dtype=torch.float64), torch.zeros(1))
        >>> e = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
        >>> [round(estimate_operator_norm(f, f.point(), e, order=4, ascents=n)[0], 6) for n in (0, 1)]
        [33.941125, 96.0]
    """
    lengths = torch.linalg.vector_norm(
        directions, dim=-1, dtype=torch.float64
    )  # float32 is 4e-4 off in 10^7 dimensions
    if directions.ndim != 2 or len(directions) == 0 or not bool(((lengths - 1).abs() < 1e-4).all()):
        raise InputError(
            f"directions of shape {tuple(directions.shape)} with lengths {lengths.flatten().tolist()}: "
            f"need at least one row, each of length 1; divide each row by its norm"
        )
    along, largest, best = torch.empty(len(directions), dtype=torch.float64), -1.0, directions[0]
    for i, v in enumerate(directions):
        found = derivative_along(landscape, x, v, order)
        along[i] = float(found.double() @ v.double())
        norm = float(found.double().norm())
        if not math.isfinite(norm):
            raise InputError(f"the derivative of order {order} is not finite at the trained point; train again")
        if norm > largest:
            largest, best = norm, found
    for _ in range(ascents):
        if not largest:
            break
        best = derivative_along(landscape, x, best / best.norm(), order)
        norm = float(best.double().norm())
        if not largest < norm < math.inf:
            break
        largest = norm
    return largest, along


def estimate_fourth_derivative(landscape: Landscape, x: Tensor, directions: Tensor) -> float:
    """A lower *estimate* of ``K_4`` at ``x`` from unit directions (rows), see :func:`estimate_operator_norm`.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import NetworkLandscape
        >>> model = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
        >>> quartic = lambda outputs, targets: (outputs**4).mean()
        >>> f = NetworkLandscape.from_tensors(model, quartic, torch.ones(1, 1, dtype=torch.float64), torch.zeros(1))
        >>> round(estimate_fourth_derivative(f, f.point(), torch.ones(1, 1, dtype=torch.float64)), 9)
        24.0
    """
    return estimate_operator_norm(landscape, x, directions, order=4)[0]


def estimate_third_partial(landscape: Landscape, x: Tensor, coordinates: Tensor) -> float:
    """``max_ij |d_i d_i d_j f(x)|`` over the given ``i`` and all ``j``: a lower estimate of ``C`` at ``x``.

    Args:
        landscape: ``f``.
        x: where, ``(d,)``.
        coordinates: the ``i``, at least one.
    """
    largest = 0.0
    for i in coordinates.tolist():
        e = torch.zeros_like(x)
        e[i] = 1
        largest = max(largest, float(derivative_along(landscape, x, e, 3).abs().max()))
    return largest
