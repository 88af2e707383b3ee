"""Tilted periodic landscapes: smooth, with bounded derivatives, and with gradients that need not vanish anywhere."""

from collections.abc import Sequence
from typing import Self

import sympy
import torch
from torch import Tensor

from ...ground.errors import InputError
from ..landscape import Landscape, Terms
from .arrays import finite_array
from .formula import decimal
from .random_torus import random_coefficients

__all__ = ["TiltedTorus"]

# Ours: three minibatches whose tilts point roughly the same way, so that also the mean gradient never vanishes.
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
    3: (
        [[2.2, 0.8, 0.5], [2.0, -0.9, 0.4], [2.5, 0.5, -0.7]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, -1]],
        [[0.30, -0.25, 0.20, 0.20, -0.20], [0.20, 0.30, -0.20, -0.25, 0.20], [-0.35, 0.25, 0.20, 0.20, 0.25]],
        [[0.0, 0.3, 1.1, 0.8, 2.4], [1.0, 2.0, 0.2, 1.5, 0.6], [2.2, 0.7, 0.5, 0.1, 1.9]],
    ),
}


class TiltedTorus(Landscape):
    """``f_m(x) = c_m . x + sum_k a_mk cos(k . x + p_mk)``: a plane of slope ``c_m`` plus a trigonometric polynomial.

    The gradient is periodic on ``[0, 2 pi)^d`` and all derivatives are bounded, so that the weak error of an SDE can be
    computed without sampling (theory, section 4). Where :attr:`gradient_floor` is positive, no minibatch's gradient
    vanishes anywhere, which rules need that divide by its norm.

    Args:
        tilts: ``c_m``, shape ``(M, d)``.
        frequencies: integer ``k``, shape ``(K, d)``.
        amplitudes: ``a_mk``, shape ``(M, K)``.
        phases: ``p_mk`` in radians, shape ``(M, K)``.

    Raises:
        InputError: shapes do not fit, a frequency is not an integer, or a coefficient is not finite.

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
        self.tilts = finite_array("tilts", tilts, ("M", "d"))
        self.frequencies = finite_array("frequencies", frequencies, ("K", "d"))
        self.amplitudes = finite_array("amplitudes", amplitudes, ("M", "K"))
        self.phases = finite_array("phases", phases, ("M", "K"))
        size, dim = self.tilts.shape
        terms = len(self.frequencies)
        if self.frequencies.shape != (terms, dim) or not torch.equal(self.frequencies, self.frequencies.round()):
            raise InputError(f"frequencies must be integers of shape (K, {dim}); found {self.frequencies.tolist()}")
        if self.amplitudes.shape != (size, terms) or self.phases.shape != (size, terms):
            raise InputError(
                f"amplitudes {tuple(self.amplitudes.shape)} and phases {tuple(self.phases.shape)} "
                f"must have shape (M, K) = ({size}, {terms})"
            )
        super().__init__(dim, size, self.tilts.dtype, self.tilts.device)

    @property
    def gradient_floor(self) -> float:
        """``min_m |c_m| - sum_k |a_mk| |k|``, a lower bound of ``min_{m, x} |grad f_m(x)|``.

        Where it is ``<= 0``, nothing is guaranteed: a gradient may vanish.
        """
        ripple = self.amplitudes.abs() @ self.frequencies.norm(dim=1)
        return float((self.tilts.norm(dim=1) - ripple).min())

    @classmethod
    def default(cls, dim: int) -> Self:
        """Three tilted minibatches in one, two or three dimensions (ours: fixed once, moderate ripples).

        Raises:
            InputError: another dimension.
        """
        if dim not in _DEFAULTS:
            raise InputError(f"no default tilted torus in dimension {dim}; choose 1, 2 or 3, or use TiltedTorus.random")
        return cls(*_DEFAULTS[dim])

    @classmethod
    def random(cls, dim: int, *, size: int = 3, terms: int = 4, highest_frequency: int = 1, seed: int = 0) -> Self:
        """A random torus on which neither a minibatch's gradient nor the mean gradient vanishes.

        With ``e`` a random unit vector, ``c_m = r_m t_m`` with lengths ``r_m`` in ``[1, 2]`` and unit ``t_m`` of
        ``<t_m, e> >= 4/5``; amplitudes are scaled to ``sum_k |a_mk| |k| = r_m / 2``. Hence
        ``|grad f_m| >= r_m / 2`` and ``|grad f| >= <grad f, e> >= 3/10 mean_m r_m``.

        Args:
            dim: number of parameters ``d``.
            size: number of minibatches ``M``.
            terms: number ``K`` of frequencies; distinct, not 0, and no two opposite.
            highest_frequency: entries of frequencies lie between its negative and itself.
            seed: of numpy's generator.

        Raises:
            InputError: an argument is no positive integer (or a seed negative), or there are fewer than ``terms``
                frequencies.

        Example:
            >>> from eigensam.landscapes import TiltedTorus
            >>> f = TiltedTorus.random(4, size=5, terms=6, seed=1)
            >>> f.tilts.shape, f.frequencies.shape, f.gradient_floor > 0.25 * f.tilts.norm(dim=1).min().item()
            (torch.Size([5, 4]), torch.Size([6, 4]), True)
        """
        return cls(*random_coefficients(dim, size, terms, highest_frequency, seed))

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

    def contracted_gradients(self, x: Tensor, terms: Terms) -> Tensor:
        """See :meth:`Landscape.contracted_gradients`; in closed form, so without autograd.

        ``j`` directions turn ``a cos(k . x + p)`` into ``a cos^(j+1)(k . x + p) prod_i (k . a_i) k``.
        """
        x, terms = self._expanded(x, terms)
        with torch.no_grad():
            angles = self._angles(x)
            cosines, sines = angles.cos(), angles.sin()
            derivatives = (cosines, -sines, -cosines, sines)
            ripples, planes = torch.zeros_like(angles), torch.zeros_like(x)
            for coefficient, directions in terms:
                c = coefficient[..., None] if isinstance(coefficient, Tensor) else coefficient
                wave = self.amplitudes * derivatives[(len(directions) + 1) % 4]
                for direction in directions:
                    wave = wave * (direction.to(x) @ self.frequencies.mT)
                ripples = ripples + c * wave
                if not directions:
                    planes = planes + c * self.tilts
            return ripples @ self.frequencies + planes

    def to_dict(self) -> dict[str, object]:
        """The JSON object that :func:`read_landscape` reads."""
        return {
            "kind": "torus",
            "tilts": self.tilts.tolist(),
            "frequencies": self.frequencies.long().tolist(),
            "amplitudes": self.amplitudes.tolist(),
            "phases": self.phases.tolist(),
        }

    def _angles(self, x: Tensor) -> Tensor:
        return x @ self.frequencies.mT + self.phases

    def _losses(self, x: Tensor) -> Tensor:
        return (self.tilts * x).sum(-1) + (self.amplitudes * self._angles(x).cos()).sum(-1)
