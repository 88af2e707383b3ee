"""Second moments of a linear SDE at all times of an interval, as polynomials on its pieces.

``Z = E y y^T`` with ``y = (x, 1)`` obeys ``dZ/dt = G(t) Z + Z G(t)^T + eps E N_m(t) Z N_m(t)^T``. Where nothing depends
on time a piece is a Taylor polynomial; else the equation is integrated at Gauss-Legendre nodes, iterated until it
holds there, on ever more pieces until they agree to 1e-12.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from copy import copy

import numpy as np
import torch
from numpy.polynomial import legendre
from numpy.typing import NDArray
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["MomentFlow", "TimedMatrix"]

Array = NDArray[np.float64]

_TERMS = 26  # of a Taylor polynomial: 1/26! is far below rounding
_NODES = 16
_AGREE = 1e-12
_MOST_PIECES = 4096
_MOST_ROUNDS = 100
_INTERPOLATED = 2e-14  # relative error of an interpolated matrix
_COUNTS = (16, 32, 64, 128)


class TimedMatrix:
    """Tensors that depend on time, from a function of it; interpolated between Chebyshev nodes where that is exact.

    Args:
        function: of a time.
        horizon: times are in ``[0, horizon]``.
        constant: whether the function depends on time at all.

    Example:
        >>> s = TimedMatrix(lambda t: torch.tensor([t, t * t], dtype=torch.float64), 2.0, constant=False)
        >>> s.at([0.5, 1.5])
        tensor([[0.5000, 0.2500],
                [1.5000, 2.2500]], dtype=torch.float64)
    """

    def __init__(self, function: Callable[[float], Tensor], horizon: float, *, constant: bool) -> None:
        self._function, self._horizon, self.constant = function, horizon, constant
        self.first = function(0.0)
        self._nodes, self._values = np.zeros(0), self.first[None]
        if not constant:
            self._interpolate()

    def _interpolate(self) -> None:
        checks = [self._horizon * (k + 0.5) / 5 for k in range(5)]
        truth = torch.stack([self._function(t) for t in checks])
        for count in _COUNTS:
            self._nodes = np.cos(np.pi * (np.arange(count) + 0.5) / count)
            times = self._horizon * (self._nodes + 1) / 2
            self._values = torch.stack([self._function(float(t)) for t in times])
            if float((self.at(checks) - truth).abs().max()) <= _INTERPOLATED * float(self._values.abs().max()):
                return
        self._nodes = np.zeros(0)

    def part(self, rows: slice) -> "TimedMatrix":
        """Some of the tensors' rows."""
        result = copy(self)
        result._function = lambda t: self._function(t)[rows]
        result.first, result._values = self.first[rows], self._values[:, rows]
        return result

    def at(self, times: Sequence[float]) -> Tensor:
        """The tensors at some times, one after the other."""
        if self.constant:
            return self.first.expand(len(times), *self.first.shape)
        if not len(self._nodes):
            return torch.stack([self._function(float(t)) for t in times])
        u = 2 * np.asarray(times) / self._horizon - 1
        count = len(self._nodes)
        degrees = np.arange(count)
        transform = np.cos(np.outer(degrees, np.arccos(self._nodes))) * np.where(degrees[:, None], 2.0, 1.0) / count
        weights = np.cos(np.outer(np.arccos(np.clip(u, -1, 1)), degrees)) @ transform
        found: Tensor = torch.tensordot(torch.from_numpy(weights).to(self._values), self._values, 1)
        return found


class MomentFlow:
    """``Z(t)`` for all times up to a horizon.

    Args:
        drift: ``G``, shape ``(1, d + 1, d + 1)``.
        columns: ``N_m``, shape ``(M, d + 1, d + 1)``.
        epsilon: the effective rate, which multiplies the noise.
        start: ``Z(0)``.
        horizon: the last time.

    Raises:
        InputError: coefficients that vary too fast in time.

    Example:
        >>> g = torch.tensor([[-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
        >>> constant = TimedMatrix(lambda t: g[None], 1.0, constant=True)
        >>> none = TimedMatrix(lambda t: 0 * g[None], 1.0, constant=True)
        >>> flow = MomentFlow(constant, none, 0.1, torch.ones(2, 2, dtype=torch.float64), 1.0)
        >>> [round(z[0, 1].item(), 6) for z in flow.at([0.5, 1.0])]  # e^{-t}
        [0.606531, 0.367879]
    """

    def __init__(self, drift: TimedMatrix, columns: TimedMatrix, epsilon: float, start: Tensor, horizon: float) -> None:
        self._drift, self._columns, self._epsilon = drift, columns, epsilon
        self._noisy = bool(columns.at([0.0, horizon / 3, horizon]).abs().max() > 0)
        count = max(1, math.ceil(horizon * self._speed(horizon)))
        if not count <= _MOST_PIECES:
            raise self._too_fast(horizon)
        if drift.constant and columns.constant:
            self._solve = self._taylor
            self._edges, self._pieces = self._solved(start, horizon, count)
            return
        self._solve = self._collocation
        self._edges, self._pieces = self._solved(start, horizon, count)
        while True:
            coarse = self.at([horizon / 3, horizon])
            count *= 2
            if count > _MOST_PIECES:
                raise self._too_fast(horizon)
            self._edges, self._pieces = self._solved(start, horizon, count)
            fine = self.at([horizon / 3, horizon])
            if not bool(fine.isfinite().all()) or float((fine - coarse).abs().max()) <= _AGREE * float(
                fine.abs().max()
            ):
                return

    def _too_fast(self, horizon: float) -> InputError:
        return InputError(
            f"the SDE's coefficients are too large, or change too fast, to be integrated up to T = {horizon:g}; use a "
            "smoother schedule, a shorter horizon or a smaller rho scale"
        )

    def _speed(self, horizon: float) -> float:
        """Of the moments: above all norms of the equation's operator, but for what the constant drives."""
        times = [horizon * k / 8 for k in range(9)] if not self._drift.constant else [0.0]
        drift = torch.linalg.matrix_norm(self._drift.at(times)[:, 0, :-1, :-1], ord=2).max()
        speed = 2 * float(drift)
        if self._noisy:
            columns = torch.linalg.matrix_norm(self._columns.at(times)[..., :-1, :-1]).square().mean(-1).max()
            speed += self._epsilon * float(columns)
        return speed

    def _generated(self, drift: Tensor, columns: Tensor, z: Tensor) -> Tensor:
        moved = drift @ z
        moved = moved + moved.mT
        if self._noisy:
            moved = moved + self._epsilon * (columns @ z[..., None, :, :] @ columns.mT).mean(-3)
        return moved

    def _solved(self, z: Tensor, horizon: float, count: int) -> tuple[list[float], list[Tensor]]:
        edges = [horizon * k / count for k in range(count + 1)]
        pieces = []
        for begin, end in itertools.pairwise(edges):
            piece, z = self._solve(z, begin, end - begin)
            pieces.append(piece)
        return edges, pieces

    def _taylor(self, z: Tensor, begin: float, length: float) -> tuple[Tensor, Tensor]:
        """Coefficients of powers of the time since the piece began, in units of its length."""
        terms = [z]
        for j in range(1, _TERMS):
            moved = self._generated(self._drift.first[0], self._columns.first, terms[-1])
            terms.append(moved * (length / j))
        piece = torch.stack(terms)
        return piece, piece.sum(0)

    def _collocation(self, z: Tensor, begin: float, length: float) -> tuple[Tensor, Tensor]:
        """``Z`` where the piece begins, and coefficients of Legendre polynomials of its derivative."""
        nodes, weights = legendre.leggauss(_NODES)
        times = [begin + length * (c + 1) / 2 for c in nodes]
        drift, columns = self._drift.at(times)[:, 0], self._columns.at(times)
        degrees = np.arange(_NODES)
        values = legendre.legvander(nodes, _NODES - 1)  # (nodes, degrees)
        transform = torch.from_numpy((2 * degrees[:, None] + 1) / 2 * (weights[:, None] * values).T).to(z)
        integral = torch.from_numpy(_integrals(nodes)).to(z) * (length / 2)
        inside = z.expand(_NODES, *z.shape)
        for _ in range(_MOST_ROUNDS):
            spectrum = torch.tensordot(transform, self._generated(drift, columns, inside), 1)
            after = z + torch.tensordot(integral, spectrum, 1)
            change = float((after - inside).abs().max())
            inside = after
            if not change > 1e-16 * float(inside.abs().max()):
                break
        piece = torch.cat([z[None], spectrum * (length / 2)])
        return piece, z + torch.tensordot(torch.from_numpy(_integrals(np.ones(1))).to(z), piece[1:], 1)[0]

    def at(self, times: Sequence[float]) -> Tensor:
        """``Z`` at ascending times, shape ``(len(times), d + 1, d + 1)``."""
        given = np.asarray(times, dtype=float)
        edges = np.asarray(self._edges)
        where = np.clip(np.searchsorted(edges, given, side="right") - 1, 0, len(self._pieces) - 1)
        result = []
        for k in sorted(set(where.tolist())):
            share = (given[where == k] - edges[k]) / (edges[k + 1] - edges[k])
            piece = self._pieces[k]
            if self._solve == self._taylor:
                weights = np.vander(share, _TERMS, increasing=True)
            else:
                weights = np.concatenate([np.ones((len(share), 1)), _integrals(2 * share - 1)], 1)
            result.append(torch.tensordot(torch.from_numpy(weights).to(piece), piece, 1))
        return torch.cat(result)


def _integrals(points: Array) -> Array:
    """Of Legendre polynomials from -1 to points: ``(P_{l+1} - P_{l-1})/(2 l + 1)``, shape ``(points, degrees)``."""
    values = legendre.legvander(points, _NODES)
    found = np.empty((len(points), _NODES))
    found[:, 0] = points + 1
    for degree in range(1, _NODES):
        found[:, degree] = (values[:, degree + 1] - values[:, degree - 1]) / (2 * degree + 1)
    return found
