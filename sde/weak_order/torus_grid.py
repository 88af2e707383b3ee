"""Exact operators on periodic functions, applied without forming a matrix: a chain's and an SDE's.

Functions on ``[0, 2 pi)^d`` are represented by their values on an equispaced grid of ``n`` (odd) points per axis,
i.e. by trigonometric interpolation, whose error decays faster than any power of ``1/n`` for analytic functions.
Values have shape ``(n^d, K)``: K functions at a time, the last axis of the grid varying fastest.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ...landscapes import InputError

__all__ = ["TorusGrid"]

_CHUNK = 2**22  # numbers in an intermediate of the interpolation: 32 MiB


class TorusGrid:
    """An equispaced grid on the torus with interpolation and differentiation.

    Args:
        dim: dimension ``d``.
        resolution: odd number ``n`` of points per axis.
        device: where its tensors live.

    Raises:
        InputError: an even or tiny resolution.

    Example:
        >>> import torch
        >>> from eigensam.sde import TorusGrid
        >>> grid = TorusGrid(1, 9)
        >>> values = grid.points.sin()
        >>> kernels = grid.kernels(torch.tensor([[0.3]], dtype=torch.float64))
        >>> bool(torch.isclose(grid.interpolated(values, kernels), torch.tensor(0.3, dtype=torch.float64).sin()))
        True
        >>> bool(torch.allclose(grid.derivative(values, 0), grid.points.cos()))
        True
    """

    def __init__(self, dim: int, resolution: int, device: torch.device | None = None) -> None:
        if resolution < 3 or resolution % 2 == 0:
            raise InputError(f"resolution {resolution} is not an odd number of at least 3; try 21")
        self.dim, self.resolution = dim, resolution
        self.axis = 2 * torch.pi * torch.arange(resolution, dtype=torch.float64, device=device) / resolution

    @cached_property
    def points(self) -> Tensor:
        """Grid points, shape ``(n^d, d)``."""
        return torch.stack(torch.meshgrid(*[self.axis] * self.dim, indexing="ij"), -1).reshape(-1, self.dim)

    def kernels(self, x: Tensor) -> Tensor:
        """Weights of each axis' grid points in the value at ``x``, ``(points, d)``: shape ``(d, points, n)``."""
        angle = x.mT[..., None] - self.axis
        angle = torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
        waves = torch.sin(angle * self.resolution / 2) / (self.resolution * torch.sin(angle / 2))
        return torch.where(angle == 0, 1.0, waves)  # the Dirichlet kernel

    def interpolated(self, values: Tensor, kernels: Tensor) -> Tensor:
        """Values at the points of :meth:`kernels`, shape ``(points, K)``."""
        n, columns = self.resolution, values.shape[1]
        first = values.reshape(n, -1)
        size = max(1, _CHUNK // first.shape[1])
        result = []
        for chunk in kernels.split(size, 1):
            found = chunk[0] @ first
            for kernel in chunk[1:]:
                found = torch.einsum("pi,pir->pr", kernel, found.reshape(len(found), n, -1))
            result.append(found.reshape(-1, columns))
        return torch.cat(result)

    def resampled(self, values: Tensor, other: "TorusGrid") -> Tensor:
        """Values on the points of another grid of the same dimension, shape ``(other n^d, K)``."""
        kernel = self.kernels(other.axis[:, None])[0]
        found = values.reshape(*[self.resolution] * self.dim, -1)
        for axis in range(self.dim):
            found = torch.tensordot(kernel, found, ([1], [axis])).movedim(0, axis)
        return found.reshape(-1, values.shape[1])

    @cached_property
    def _derivative(self) -> Tensor:
        steps = torch.arange(self.resolution, dtype=torch.float64, device=self.axis.device)
        difference = steps[:, None] - steps
        signs = 1 - 2 * difference.remainder(2)
        return torch.where(difference == 0, 0.0, 0.5 * signs / torch.sin(torch.pi * difference / self.resolution))

    def derivative(self, values: Tensor, axis: int) -> Tensor:
        """Partial derivative of the interpolant, of second ones their composition, exactly (n is odd)."""
        n = self.resolution
        found = torch.einsum("ij,ajr->air", self._derivative, values.reshape(n**axis, n, -1))
        return found.reshape(values.shape)

    def chain(self, increments: Tensor, step: float) -> Callable[[Tensor], Tensor]:
        """``(P phi - phi) / step`` with ``(P phi)(x) = E phi(x + step h_m(x))``, for increments ``(n^d, M, d)``."""
        count, members = increments.shape[:2]
        kernels = self.kernels((self.points[:, None] + step * increments).reshape(-1, self.dim))

        def apply(values: Tensor) -> Tensor:
            moved = self.interpolated(values, kernels).reshape(count, members, -1)
            return (moved - values[:, None]).mean(1) / step

        return apply

    def generator(self, drift: Tensor, covariance: Tensor, step: float) -> Callable[[Tensor], Tensor]:
        """``L phi = b . grad phi + (step / 2) Sigma : Hessian phi``."""
        noisy = bool(covariance.any())

        def apply(values: Tensor) -> Tensor:
            result = torch.zeros_like(values)
            for i in range(self.dim):
                first = self.derivative(values, i)
                result += drift[:, i, None] * first
                for j in range(i + 1 if noisy else 0):  # symmetric
                    weight = step * covariance[:, i, j, None] * (0.5 if i == j else 1.0)
                    result += weight * self.derivative(first, j)
            return result

        return apply
