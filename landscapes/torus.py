"""Tilted periodic landscapes: every assumption of the weak-approximation theorems holds exactly."""

from collections.abc import Sequence
from typing import Self

import sympy
import torch
from torch import Tensor

from .errors import InputError
from .formula import decimal
from .landscape import Landscape

__all__ = ["TiltedTorus"]

# Ours: three members whose tilts point roughly the same way, so that also the mean gradient never vanishes.
_DEFAULTS: dict[int, tuple[list[list[float]], list[list[int]], list[list[float]], list[list[float]]]] = {
    1: (
        [[1.2], [0.9], [1.5]],
        [[1], [2]],
        [[0.50, 0.20], [-0.35, 0.15], [0.60, -0.25]],
        [[0.0, 0.3], [1.0, 2.0], [2.2, 0.7]],
    ),
    2: (
        [[1.2, 0.5], [1.0, -0.6], [1.5, 0.3]],
        [[1, 0], [0, 1], [1, 1]],
        [[0.40, -0.30, 0.20], [0.30, 0.35, -0.20], [-0.45, 0.40, 0.25]],
        [[0.0, 0.3, 1.1], [1.0, 2.0, 0.2], [2.2, 0.7, 0.5]],
    ),
}


class TiltedTorus(Landscape):
    """``f_m(x) = c_m . x + sum_k a_mk cos(k . x + p_mk)``: a plane of slope ``c_m`` plus a trigonometric polynomial.

    The gradient is periodic on ``[0, 2 pi)^d`` and, as ``|c_m| > sum_k |a_mk| |k|`` is required, bounded away from
    zero; all derivatives are bounded (theory, section 4).

    Args:
        tilts: ``c_m``, shape ``(M, d)``.
        frequencies: integer ``k``, shape ``(K, d)``.
        amplitudes: ``a_mk``, shape ``(M, K)``.
        phases: ``p_mk`` in radians, shape ``(M, K)``.

    Raises:
        InputError: shapes do not fit, a frequency is not an integer, or a gradient could vanish.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import TiltedTorus
        >>> f = TiltedTorus([[2.0]], [[1]], [[0.5]], [[0.0]])
        >>> f.gradient(torch.zeros(1, dtype=torch.float64)).item()
        2.0
        >>> f.gradient_floor
        1.5
    """

    def __init__(
        self,
        tilts: Sequence[Sequence[float]] | Tensor,
        frequencies: Sequence[Sequence[int]] | Tensor,
        amplitudes: Sequence[Sequence[float]] | Tensor,
        phases: Sequence[Sequence[float]] | Tensor,
    ) -> None:
        self.tilts = torch.as_tensor(tilts, dtype=torch.float64)
        self.frequencies = torch.as_tensor(frequencies, dtype=torch.float64)
        self.amplitudes = torch.as_tensor(amplitudes, dtype=torch.float64)
        self.phases = torch.as_tensor(phases, dtype=torch.float64)
        size, dim = self.tilts.shape
        terms = len(self.frequencies)
        if self.frequencies.shape != (terms, dim) or not torch.equal(self.frequencies, self.frequencies.round()):
            raise InputError(f"frequencies must be integers of shape (K, {dim}); found {frequencies}")
        if self.amplitudes.shape != (size, terms) or self.phases.shape != (size, terms):
            raise InputError(
                f"amplitudes {tuple(self.amplitudes.shape)} and phases {tuple(self.phases.shape)} "
                f"must have shape (M, K) = ({size}, {terms})"
            )
        super().__init__(dim, size, self.tilts.dtype, self.tilts.device)
        if not self.gradient_floor > 0:  # also where a coefficient is NaN
            raise InputError(
                f"the gradient of a member may vanish: |tilt| exceeds the polynomial's gradient by only "
                f"{self.gradient_floor:.3g}; enlarge the tilts or shrink the amplitudes"
            )

    @property
    def gradient_floor(self) -> float:
        """Lower bound of ``min_{m, x} |grad f_m(x)|``, positive by construction."""
        ripple = self.amplitudes.abs() @ self.frequencies.norm(dim=1)
        return float((self.tilts.norm(dim=1) - ripple).min())

    @classmethod
    def default(cls, dim: int) -> Self:
        """Three tilted members in one or two dimensions (ours: fixed once, moderate ripples)."""
        if dim not in _DEFAULTS:
            raise InputError(f"no default tilted torus in dimension {dim}; choose 1 or 2, or give coefficients")
        return cls(*_DEFAULTS[dim])

    def formulas(self, x: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
        """See :meth:`Landscape.formulas`."""
        waves = [sum(int(k) * xi for k, xi in zip(row, x, strict=True)) for row in self.frequencies.tolist()]
        result = []
        for tilt, amplitudes, phases in zip(
            self.tilts.tolist(), self.amplitudes.tolist(), self.phases.tolist(), strict=True
        ):
            plane = sum(decimal(c) * xi for c, xi in zip(tilt, x, strict=True))
            ripples = sum(
                decimal(a) * sympy.cos(wave + decimal(p)) for a, p, wave in zip(amplitudes, phases, waves, strict=True)
            )
            result.append(plane + ripples)
        return result

    def _losses(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies.mT + self.phases
        return (self.tilts * x).sum(-1) + (self.amplitudes * angles.cos()).sum(-1)
