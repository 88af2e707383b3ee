"""Directions in which a network's loss is drawn: as long as its filters, and the plane that two of them span."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...landscapes.derivatives.flat import flatten, unflatten

__all__ = ["filter_normalised", "plane_coordinates"]


def filter_normalised(direction: Tensor, point: Tensor, shapes: Sequence[torch.Size]) -> Tensor:
    """A direction whose every filter is as long as the network's: ``d_i <- d_i |w_i| / |d_i|`` (Li et al. 2018).

    A filter is a slice along the first axis of a parameter: of a convolution all weights of an output channel, of a
    linear layer a row. Parameters with one axis, biases and those of batch norm, do not move, as in the code of
    Li et al.; nor does a filter in which the direction is zero. Multiplying a filter by a number multiplies the
    direction there, so that a distance along it counts in lengths of filters.

    Args:
        direction: shape ``(d,)``.
        point: parameters of the network, shape ``(d,)``.
        shapes: of the parameters, in their order.

    Returns:
        The direction, shape ``(d,)``; its length is that of the weights wherever it has none that is zero.

    Example:
        A matrix of two rows of the lengths 5 and 2, and a bias:

        >>> point = torch.tensor([3.0, 4.0, 0.0, 2.0, 7.0, 7.0])
        >>> direction = torch.tensor([0.0, 0.1, -3.0, 0.0, 1.0, 1.0])
        >>> filter_normalised(direction, point, [torch.Size([2, 2]), torch.Size([2])]).tolist()
        [0.0, 5.0, -2.0, 0.0, 0.0, 0.0]
    """
    parts = []
    for d, w in zip(unflatten(direction, shapes), unflatten(point, shapes), strict=True):
        if d.dim() < 2:
            parts.append(torch.zeros_like(d))
            continue
        rows, lengths = d.flatten(1), w.flatten(1).norm(dim=1, keepdim=True)
        own = rows.norm(dim=1, keepdim=True)
        parts.append(torch.where(own > 0, rows * (lengths / own.where(own > 0, 1)), 0.0).view(d.shape))
    return flatten(parts)


def plane_coordinates(displacement: Tensor, directions: Tensor) -> tuple[list[float], float]:
    """Where a point is drawn in the plane of two directions: its orthogonal projection, by least squares.

    Filter-normalised directions are not orthogonal, so that their inner products with a displacement alone would draw
    a point of the plane in a wrong place.

    Args:
        displacement: from the plane's origin, shape ``(d,)``.
        directions: that span the plane, shape ``(2, d)``.

    Returns:
        Both coordinates, and the share of the displacement's squared length that lies in the plane.

    Example:
        >>> directions = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
        >>> coordinates, share = plane_coordinates(torch.tensor([3.0, 1.0, 10.0]), directions)
        >>> [round(value, 6) for value in coordinates], round(share, 6)
        ([2.0, 1.0], 0.090909)
    """
    products = directions @ displacement
    coordinates = torch.linalg.solve(directions @ directions.T, products)
    squared = float(displacement @ displacement)
    return coordinates.tolist(), float(coordinates @ products) / squared if squared else 1.0
