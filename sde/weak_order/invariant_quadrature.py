"""The invariant law of memory with the slow blocks held, as weights of nodes, in numbers of any precision."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

__all__ = ["invariant_weights", "nodes_of_box"]

Array = NDArray[np.object_]


def nodes_of_box(radius: Any, degree: int, dim: int) -> Array:
    """Chebyshev nodes of ``[-radius, radius]^dim``: shape ``((degree + 1)^dim, dim)``."""
    axis = [radius * mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * degree + 2)) for k in range(degree + 1)]
    return np.array(list(itertools.product(axis, repeat=dim)), dtype=object).reshape(-1, dim)


def invariant_weights(moved: Callable[[Array], Array], nodes: Array, degree: int) -> list[Any]:
    """Weights that integrate polynomials up to the degree in each coordinate as the invariant law does.

    The operator of one step on polynomials is a matrix on the nodes, exactly where a step is affine; the law is its
    left eigenvector of eigenvalue 1.

    Args:
        moved: from a node ``(n,)`` to where one step leads with equal probability, ``(outcomes, n)``.
        nodes: of :func:`nodes_of_box`.
        degree: of the polynomials.

    Example:
        ``q+ = q/2 +- 1``: ``E q^2 = 4/3``

        >>> nodes = nodes_of_box(mpmath.mpf(2), 3, 1)
        >>> weights = invariant_weights(lambda q: np.array([q / 2 + 1, q / 2 - 1]), nodes, 3)
        >>> print(mpmath.nstr(sum(w * q**2 for w, q in zip(weights, nodes[:, 0])), 12))
        1.33333333333
    """
    count = len(nodes)
    if count == 1:
        return [mpmath.mpf(1)]
    axis = nodes[: degree + 1, -1]
    matrix = mpmath.matrix(count, count)  # transposed, less the identity; the last row says that weights sum to 1
    for i, node in enumerate(nodes):
        ends = moved(node)
        for end in ends:
            weights: Sequence[Any] = [mpmath.mpf(1) / len(ends)]
            for coordinate in end:
                basis = _lagrange(axis, coordinate)
                weights = [w * b for w in weights for b in basis]
            for j, weight in enumerate(weights):
                matrix[j, i] += weight
        matrix[i, i] -= 1
    right = mpmath.matrix(count, 1)
    for i in range(count):
        matrix[count - 1, i] = 1
    right[count - 1] = 1
    return list(mpmath.lu_solve(matrix, right))


def _lagrange(axis: Array, point: Any) -> list[Any]:
    result = []
    for i, own in enumerate(axis):
        value = mpmath.mpf(1)
        for j, other in enumerate(axis):
            if j != i:
                value = value * (point - other) / (own - other)
        result.append(value)
    return result
