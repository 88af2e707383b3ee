"""Exact operators on periodic functions: the chain's transition and the SDE's generator as dense matrices.

Functions on ``[0, 2 pi)^d`` are represented by their values on an equispaced grid of ``n`` (odd) points per axis,
i.e. by trigonometric interpolation, whose error decays faster than any power of ``1/n`` for analytic functions.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..landscapes import InputError

__all__ = ["TorusGrid"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TorusGrid:
    """An equispaced grid on the torus with its interpolation and differentiation matrices.

    Args:
        dim: dimension ``d``.
        resolution: odd number ``n`` of points per axis.

    Raises:
        InputError: an even or tiny resolution.

    Example:
        >>> import numpy as np
        >>> from eigensam.sde import TorusGrid
        >>> grid = TorusGrid(1, 9)
        >>> values = np.sin(grid.points[:, 0])
        >>> bool(np.allclose(grid.interpolation(np.array([[0.3]])) @ values, np.sin(0.3)))
        True
        >>> bool(np.allclose(grid.derivatives[0] @ values, np.cos(grid.points[:, 0])))
        True
    """

    dim: int
    resolution: int

    def __post_init__(self) -> None:
        if self.resolution < 3 or self.resolution % 2 == 0:
            raise InputError(f"resolution {self.resolution} is not an odd number of at least 3; try 21")

    @cached_property
    def points(self) -> Array:
        """Grid points, shape ``(n^d, d)``, last axis varying fastest."""
        axis = 2 * np.pi * np.arange(self.resolution) / self.resolution
        return np.stack(np.meshgrid(*[axis] * self.dim, indexing="ij"), -1).reshape(-1, self.dim)

    def interpolation(self, x: Array) -> Array:
        """Matrix of shape ``(points, n^d)`` that evaluates a grid function's interpolant at ``x``, ``(points, d)``."""
        n = self.resolution
        axis = 2 * np.pi * np.arange(n) / n
        waves = np.arange(1, n // 2 + 1)
        rows = np.ones((len(x), 1))
        for coordinate in x.T:
            offset = coordinate[:, None] - axis
            kernel = (1 + 2 * np.cos(offset[..., None] * waves).sum(-1)) / n  # Dirichlet kernel
            rows = (rows[:, :, None] * kernel[:, None, :]).reshape(len(x), -1)
        return rows

    @cached_property
    def derivatives(self) -> list[Array]:
        """First-derivative matrices along each axis, each ``(n^d, n^d)``; their products are exact, too (odd n)."""
        n = self.resolution
        steps = np.arange(n)[:, None] - np.arange(n)
        with np.errstate(divide="ignore"):
            single = np.where(steps == 0, 0.0, 0.5 * (-1.0) ** steps / np.sin(np.pi * steps / n))
        identity = np.eye(n)
        result = []
        for i in range(self.dim):
            matrix: Array = np.eye(1)
            for axis in range(self.dim):
                matrix = np.kron(matrix, single if axis == i else identity).astype(np.float64)
            result.append(matrix)
        return result

    def transition(self, increments: Array, step: float) -> Array:
        """``(P phi)(x) = E phi(x + step h_m(x))``, matrix ``(n^d, n^d)``, for increments ``(n^d, M, d)``."""
        result = np.zeros((len(self.points), len(self.points)))
        members = increments.shape[1]
        for m in range(members):
            result += self.interpolation(self.points + step * increments[:, m]) / members
        return result

    def generator(self, drift: Array, covariance: Array, step: float) -> Array:
        """``L = b . grad + (step / 2) Sigma : Hessian``, matrix ``(n^d, n^d)``."""
        result = np.zeros((len(self.points), len(self.points)))
        for i, first in enumerate(self.derivatives):
            result += drift[:, i, None] * first
            for j, second in enumerate(self.derivatives):
                result += 0.5 * step * covariance[:, i, j, None] * (first @ second)
        return result
