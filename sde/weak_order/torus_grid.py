"""Exact operators on periodic functions: a chain's, a matrix on small grids only, and an SDE's.

Functions on ``[0, 2 pi)^d`` are represented by their values on an equispaced grid of ``n`` (odd) points per axis,
i.e. by trigonometric interpolation, whose error decays faster than any power of ``1/n`` for analytic functions.
Values have shape ``(n^d, K)``: K functions at a time, the last axis of the grid varying fastest.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["MOST_ROWS", "TorusGrid"]

_CHUNK = 2**19  # numbers in an intermediate of the interpolation: 4 MiB, twice as fast as 32
MOST_ROWS = 3000  # of a matrix, 72 MB: faster, two to ten times, than interpolation until it leaves the cache

_MOST_GENERATOR_ROWS = 800  # the same of an SDE's operator, whose derivatives are few and small products


class TorusGrid:
    """An equispaced grid on the torus: resampling, differentiation, and the operators of a chain and an SDE.

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
        >>> other = TorusGrid(1, 31)
        >>> bool(torch.allclose(grid.resampled(values, other), other.points.sin()))
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

    def resampled(self, values: Tensor, other: "TorusGrid") -> Tensor:
        """Values on the points of another grid of the same dimension, shape ``(other n^d, K)``."""
        angle = torch.remainder(other.axis[:, None] - self.axis + torch.pi, 2 * torch.pi) - torch.pi
        waves = torch.sin(angle * self.resolution / 2) / (self.resolution * torch.sin(angle / 2))
        kernel = torch.where(angle == 0, 1.0, waves)  # the Dirichlet kernel
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
        """``(P phi - phi) / step`` with ``(P phi)(x) = E phi(x + step h_m(x))``, for increments ``(n^d, M, d)``.

        What is small is computed as such: the interpolation's weights less those of the grid point itself.
        """
        count, minibatches = increments.shape[:2]
        shifts = (step * increments).reshape(-1, self.dim).mT
        index = torch.arange(count, device=shifts.device).repeat_interleave(minibatches)
        own = torch.stack([index // self.resolution ** (self.dim - 1 - axis) for axis in range(self.dim)])
        own = own % self.resolution
        weights = torch.stack([self._weight_changes(i, shift) for i, shift in zip(own, shifts, strict=True)])
        if count <= MOST_ROWS:
            return _applied(self._matrix(*(w.unflatten(1, (count, minibatches)) for w in (weights, own))) / step)

        def apply(values: Tensor) -> Tensor:
            first = values.reshape(self.resolution, -1)
            size = max(1, _CHUNK // first.shape[1])
            parts = zip(weights.split(size, 1), own.split(size, 1), strict=True)
            moved = torch.cat([self._changes(first, *part) for part in parts])
            return moved.reshape(count, minibatches, -1).mean(1) / step

        return apply

    def _matrix(self, weights: Tensor, own: Tensor) -> Tensor:
        """``P - I`` as a matrix, from weights ``(d, n^d, M, n)`` of the grid points ``own``, shape ``(d, n^d, M)``."""
        count, minibatches = own.shape[1:]
        total = weights.new_zeros(count, count)
        every = torch.arange(count, device=own.device)
        for m in range(minibatches):
            change, moved = weights[0, :, m], self._with_own(weights[0, :, m], own[0, :, m])
            for axis in range(1, self.dim):
                part, index = weights[axis, :, m], own[axis, :, m]
                changed = moved[:, :, None] * part[:, None]
                changed[every, :, index] += change
                change = changed.flatten(1)
                if axis + 1 < self.dim:
                    moved = (moved[:, :, None] * self._with_own(part, index)[:, None]).flatten(1)
            total += change
        return total / minibatches

    def _weight_changes(self, own: Tensor, shift: Tensor) -> Tensor:
        """Weights at ``own`` points moved by ``shift`` along an axis, less 1 at the point itself: ``(points, n)``.

        For ``s`` below half a spacing ``D(theta_j + s)`` is ``(-1)^j sin(n s / 2) / (n sin((theta_j + s) / 2))``, and
        ``D(s) - 1`` is ``-4/n sum_k sin^2(k s / 2)``: both without cancellation. Further away ``theta_j + s`` may be
        close to 0, where both sines must see it rounded alike.
        """
        n, shift = self.resolution, shift[:, None]
        steps = (own[:, None] - torch.arange(n, device=own.device)).to(shift)
        angle = 2 * torch.pi * steps / n + shift
        near = (1 - 2 * steps.remainder(2)) * torch.sin(n * shift / 2) / (n * torch.sin(angle / 2))
        angle = torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi
        far = torch.where(angle == 0, 1.0, torch.sin(n * angle / 2) / (n * torch.sin(angle / 2)))
        waves = torch.arange(1, n // 2 + 1, dtype=angle.dtype, device=angle.device)
        at_own = -4 / n * (torch.sin(shift * waves / 2) ** 2).sum(1, keepdim=True)
        return torch.where(steps == 0, at_own, torch.where(shift.abs() < torch.pi / n, near, far))

    @staticmethod
    def _with_own(changes: Tensor, own: Tensor) -> Tensor:
        """The weights themselves."""
        return changes.scatter_add(1, own[:, None], changes.new_ones(len(own), 1))

    def _changes(self, first: Tensor, weights: Tensor, own: Tensor) -> Tensor:
        """Interpolated values at moved points less those at the points themselves, shape ``(points, K)``."""
        change, moved = weights[0] @ first, self._with_own(weights[0], own[0]) @ first
        every = torch.arange(len(change), device=change.device)
        for axis in range(1, self.dim):
            change, moved = (part.reshape(len(change), self.resolution, -1) for part in (change, moved))
            change = torch.einsum("pi,pir->pr", weights[axis], moved) + change[every, own[axis]]
            if axis + 1 < self.dim:
                moved = torch.einsum("pi,pir->pr", self._with_own(weights[axis], own[axis]), moved)
        return change

    def generator(self, drift: Tensor, covariance: Tensor, step: float) -> Callable[[Tensor], Tensor]:
        """``L phi = b . grad phi + (step / 2) Sigma : Hessian phi``.

        Drifts ``(n^d, d)`` act on values ``(n^d, K)``; those of S SDEs, ``(n^d, S, d)``, on values ``(n^d, S, K)``.
        """
        noisy = bool(covariance.any())

        def apply(values: Tensor) -> Tensor:
            result = torch.zeros_like(values)
            for i in range(self.dim):
                first = self.derivative(values, i)
                result += drift[..., i, None] * first
                for j in range(i + 1 if noisy else 0):  # symmetric
                    weight = step * covariance[..., i, j, None] * (0.5 if i == j else 1.0)
                    result += weight * self.derivative(first, j)
            return result

        if drift.ndim == 2 and len(drift) <= _MOST_GENERATOR_ROWS:
            return _applied(apply(torch.eye(len(drift), dtype=drift.dtype, device=drift.device)))
        return apply


def _applied(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    """Faster for few functions if these are rows."""
    return lambda values: (values.mT.contiguous() @ matrix.mT).mT.contiguous()
