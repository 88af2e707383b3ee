"""The loss along lines and on planes through a point, without a copy of the network for each value."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...ground.errors import InputError
from ...landscapes.landscape import Landscape

__all__ = ["checked_curvature", "losses_in_plane", "rises", "second_difference"]

_STEPS = tuple(10.0**-k for k in range(2, 8))  # ours: from where the loss bends to where rounding shows


@torch.no_grad()
def rises(landscape: Landscape, x: Tensor, direction: Tensor, distances: Sequence[float]) -> list[float]:
    """``(f(x + r d) + f(x - r d)) / 2 - f(x)`` for every distance ``r``.

    The mean of both sides, as an eigenvector has no sign; it leaves out what a gradient that is not yet zero adds.

    Args:
        landscape: with the loss ``f``.
        x: shape ``(d,)``.
        direction: of any length, shape ``(d,)``.
        distances: in units of it.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic(torch.diag(torch.tensor([2.0, 1.0])), centres=[[0.0, 0.0]])
        >>> rises(f, torch.tensor([3.0, 0.0]), torch.tensor([1.0, 0.0]), [1.0, 2.0])
        [1.0, 4.0]
    """
    centre = float(landscape.loss(x))
    sides = [[float(landscape.loss(x + sign * r * direction)) for sign in (1, -1)] for r in distances]
    return [(plus + minus) / 2 - centre for plus, minus in sides]


@torch.no_grad()
def losses_in_plane(landscape: Landscape, x: Tensor, directions: Tensor, axis: Sequence[float]) -> list[list[float]]:
    """``f(x + a d_1 + b d_2)``: a row for each ``b``, in it a number for each ``a``.

    Args:
        landscape: with the loss ``f``.
        x: shape ``(d,)``.
        directions: shape ``(2, d)``.
        axis: values of ``a``, and of ``b``.

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> f = Quadratic(torch.diag(torch.tensor([2.0, 4.0])), centres=[[0.0, 0.0]])
        >>> losses_in_plane(f, torch.zeros(2), torch.eye(2), [0.0, 1.0])
        [[0.0, 1.0], [2.0, 3.0]]
    """
    first, second = directions
    return [[float(landscape.loss(x + a * first + b * second)) for a in axis] for b in axis]


def second_difference(landscape: Landscape, x: Tensor, v: Tensor) -> float:
    """``v^T H v`` from losses alone: ``(f(x + h v) - 2 f(x) + f(x - h v)) / h^2``.

    Of a falling sequence of ``h`` the one where the difference changes least from the one before: before it the loss
    bends, after it rounding shows. No eigenvalue has a part in that choice.

    Example:
        >>> from eigensam.landscapes import Valley
        >>> f, x = Valley(flat=1.0, sharp=5.0), torch.zeros(2, dtype=torch.float64)
        >>> round(second_difference(f, x, torch.tensor([0.0, 1.0], dtype=torch.float64)), 4)
        1.0
    """
    found = [2 * rises(landscape, x, v, [h])[0] / h**2 for h in _STEPS]
    place = min(range(1, len(found)), key=lambda k: abs(found[k] - found[k - 1]))
    return found[place]


def checked_curvature(landscape: Landscape, x: Tensor, v: Tensor, value: float, tolerance: float) -> float:
    """The second difference of the loss along a unit eigenvector, which must be its eigenvalue.

    Args:
        landscape: with the loss.
        x: shape ``(d,)``.
        v: unit eigenvector, shape ``(d,)``.
        value: its eigenvalue.
        tolerance: largest relative deviation.

    Returns:
        The second difference.

    Raises:
        InputError: they differ, so that one of both is not what it is called.

    Example:
        >>> from eigensam.landscapes import Valley
        >>> f, x = Valley(flat=1.0, sharp=5.0), torch.zeros(2, dtype=torch.float64)
        >>> checked_curvature(f, x, torch.tensor([0.0, 1.0], dtype=torch.float64), 2.0, 0.01)
        Traceback (most recent call last):
        ...
        eigensam.ground.errors.InputError: the loss bends by 1 along the eigenvector ...
    """
    found = second_difference(landscape, x, v)
    if not abs(found - value) <= tolerance * abs(value):
        raise InputError(
            f"the loss bends by {found:.6g} along the eigenvector of the eigenvalue {value:.6g}; expected a relative "
            f"deviation of at most {tolerance:g}. Give more products (max_products) or a network that is smooth, such "
            "as mlp, or measure more examples"
        )
    return found
