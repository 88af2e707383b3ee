"""The largest eigenvalues of several matrices at once, where their products cost less together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...ground.errors import InputError
from .convergence import Convergence
from .eigenpairs import random_vector
from .lengths import length_of
from .request import check_whole

__all__ = ["TopPairs", "batched_lanczos"]

Array = NDArray[Any]
_ROOM = 16  # vectors that a basis begins with; it is doubled when it is full


@dataclass(frozen=True)
class TopPairs:
    """One approximate eigenpair of each of ``P`` matrices.

    Attributes:
        values: Ritz values, lower bounds of the largest eigenvalues: shape ``(P,)``, float64 on the CPU.
        vectors: unit Ritz vectors, shape ``(P, d)``.
        residuals: ``|A v - value v|``, shape ``(P,)``, float64 on the CPU.
        products: spent until each was settled, shape ``(P,)``.
        converged: whether each was, shape ``(P,)``.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    products: Tensor
    converged: Tensor


def batched_lanczos(
    product: Callable[[Tensor], Tensor],
    like: Tensor,
    *,
    max_products: int = 200,
    tolerance: float = 1e-3,
    accuracy: float | None = None,
    outside: TopPairs | None = None,
    seed: int = 0,
) -> TopPairs:
    """The largest algebraic eigenvalue of each of ``P`` symmetric matrices ``A_p``, by :func:`lanczos` in step.

    All start from one random vector, and each is settled by itself, by the rule of :func:`lanczos`
    (:class:`Convergence`); the others then go on without it, so that a result does not depend on its company but for
    rounding. There is no restart: the basis is kept, ``(P, products, d)``, and is orthogonalised twice. A Krylov space
    that closes goes on, once, in a random direction outside of it.

    There is no warm start either. From the eigenvector of a nearby matrix the residual is small at once, also where
    another one has overtaken it: to see that takes a random vector and as many products as a fresh start.

    Args:
        product: maps rows ``v`` of shape ``(P, d)`` to ``A_p v_p``.
        like: a tensor of shape ``(P, d)`` in the type and place of vectors.
        max_products: most products to spend on each; where ``d`` is not larger, the values are exact up to rounding.
        tolerance: relative accuracy of each value.
        accuracy: relative error of a product; default 100 units of rounding.
        outside: eigenpairs found: the largest eigenvalues on the complements of their vectors, to within ``tolerance``
            of *their* values. With ``theta`` and ``mu`` the values found first and now, ``mu`` is at least the second
            eigenvalue and ``theta + mu`` at most the sum of the first two (Ky Fan); copies count.
        seed: of the random vectors.

    Raises:
        InputError: a product that is not finite or of another shape, matrices found not to be symmetric, an argument
            out of range.

    Example:
        >>> import torch
        >>> matrices = torch.diag_embed(torch.tensor([[1.0, -3.0, 0.5], [2.0, 2.0, 1.0]], dtype=torch.float64))
        >>> def product(v):
        ...     return (matrices @ v[..., None])[..., 0]
        >>> first = batched_lanczos(product, matrices[:, 0])
        >>> [round(value, 10) for value in first.values.tolist()]
        [1.0, 2.0]
        >>> [round(value, 10) for value in batched_lanczos(product, matrices[:, 0], outside=first).values.tolist()]
        [0.5, 2.0]
    """
    count, d = like.shape
    found = 0 if outside is None else 1
    check_whole(max_products=max_products, seed=seed)
    if not 0 < tolerance < 1 or max_products < 1:
        raise InputError(
            f"tolerance = {tolerance}, max_products = {max_products}; expected a relative accuracy between 0 and 1, "
            "and at least 1 product"
        )
    if not count or d <= found:
        raise InputError(f"vectors of shape {tuple(like.shape)} leave no eigenvalue to look for; expected (P, d)")
    accuracy = 100 * torch.finfo(like.dtype).eps if accuracy is None else accuracy
    rule, least = Convergence(tolerance, accuracy), None if outside is None else outside.values.abs().numpy()
    basis = _Basis(like, found + min(max_products, d - found), seed)
    if outside is not None:
        basis.append(outside.vectors)
    v = basis.outside()
    matrix, betas = np.zeros((count, 0, 0)), np.zeros(count)
    scale, looked_outside = np.zeros(count), np.zeros(count, dtype=bool)
    result = _Result(like)
    while True:
        basis.append(v)
        w = product(v)
        if w.shape != v.shape:
            raise InputError(f"products have shape {tuple(w.shape)}; expected that of the vectors, {tuple(v.shape)}")
        w, entries, norm = basis.split(w)
        _check_finite(norm)
        own, size = entries[:, found:], matrix.shape[1] + 1
        scale = np.maximum(scale, np.abs(own).max(1))
        expected = np.zeros((count, size - 1))
        if size > 1:
            expected[:, -1] = betas
        _check_symmetry(own[:, :-1] - expected, scale, accuracy)
        matrix = _bordered(matrix, expected, own[:, -1])
        theta, s = np.linalg.eigh(matrix)
        noise = accuracy * scale
        closed, residuals = norm <= noise, norm[:, None] * np.abs(s[:, -1])
        settled = rule.settled(theta, residuals, [size - 1], least)
        exhausted = found + size == d
        sure = settled & (~closed | looked_outside) | exhausted
        last = bool((result.converged | sure).all()) or size == max_products or exhausted
        if last or bool(sure.any()):
            result.take(sure, theta[:, -1], np.maximum(residuals[:, -1], noise), size)
            result.combine(basis.rows[:, found:], s[:, :, -1], everything=last)
        if last:
            return result.pairs()
        looked_outside |= closed
        betas = np.where(closed, 0.0, norm)
        v = w / torch.from_numpy(np.where(closed, 1.0, norm)).to(w)[:, None]
        if bool(closed.any()):
            v = torch.where(torch.from_numpy(closed).to(v.device)[:, None], basis.outside(), v)


class _Basis:
    """Orthonormal rows of each matrix, ``(P, size, d)``, in one tensor that grows."""

    def __init__(self, like: Tensor, limit: int, seed: int) -> None:
        self.limit, self.size, self._seed = limit, 0, seed
        self._tensor = like.new_empty(len(like), min(limit, _ROOM), like.shape[1])

    @property
    def rows(self) -> Tensor:
        return self._tensor[:, : self.size]

    def append(self, v: Tensor) -> None:
        if self.size == self._tensor.shape[1]:
            more = min(self.size, self.limit - self.size)
            shape = len(v), more, v.shape[1]
            self._tensor = torch.cat([self._tensor, self._tensor.new_empty(shape)], 1)
        self._tensor[:, self.size] = v
        self.size += 1

    def split(self, w: Tensor) -> tuple[Tensor, Array, Array]:
        """What of ``w`` (``(P, d)``) is orthogonal to the rows, its products with them, and the rest's length."""
        total = torch.zeros((), dtype=w.dtype, device=w.device)
        for _ in range(2):  # twice is enough: Parlett, The Symmetric Eigenvalue Problem, 6.9
            found = torch.bmm(w[:, None], self.rows.mT)
            w = torch.baddbmm(w[:, None], found, self.rows, alpha=-1)[:, 0]
            total = total + found[:, 0]
        norm = length_of(w, keep=True)
        numbers = torch.cat([total, norm], 1).double().cpu().numpy()
        return w, numbers[:, :-1], numbers[:, -1]

    def outside(self) -> Tensor:
        """One random direction, the same for all, orthogonal to the rows of each: unit vectors ``(P, d)``."""
        count, _, d = self._tensor.shape
        drawn = random_vector(d, self._seed, self._tensor.dtype, self._tensor.device)
        self._seed += 1
        v = drawn.expand(count, d)
        if not self.size:
            return v.clone()
        for _ in range(2):  # a single normalisation would leave what rounding puts into a small rest
            v, _, norm = self.split(v)
            v = v / torch.from_numpy(norm).to(v)[:, None]
        return v


class _Result:
    """The pair of each matrix as it was when it was settled, or when the products were spent."""

    def __init__(self, like: Tensor) -> None:
        count = len(like)
        self.values, self.residuals = np.zeros(count), np.zeros(count)
        self.products = np.zeros(count, dtype=np.int64)
        self.converged, self._combined = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        self.vectors = torch.zeros_like(like)

    def take(self, sure: Array, values: Array, residuals: Array, products: int) -> None:
        """Of all that were not settled before."""
        open_ = ~self.converged
        self.values[open_], self.residuals[open_] = values[open_], residuals[open_]
        self.products[open_] = products
        self.converged |= sure

    def combine(self, rows: Tensor, weights: Array, *, everything: bool) -> None:
        """Ritz vectors of those that have just been settled, or of all that are left."""
        which = ~self._combined & (self.converged | everything)
        if which.any():
            places = torch.from_numpy(which.nonzero()[0]).to(rows.device)
            v = torch.bmm(torch.from_numpy(weights[which]).to(rows)[:, None], rows[places])[:, 0]
            self.vectors[places] = v / length_of(v, keep=True)
            self._combined |= which

    def pairs(self) -> TopPairs:
        values, residuals = torch.from_numpy(self.values), torch.from_numpy(self.residuals)
        return TopPairs(
            values, self.vectors, residuals, torch.from_numpy(self.products), torch.from_numpy(self.converged)
        )


def _bordered(matrix: Array, border: Array, corner: Array) -> Array:
    """Symmetric matrices ``(P, j, j)`` with one more row and column."""
    last = np.concatenate([border, corner[:, None]], 1)
    return np.concatenate([np.concatenate([matrix, border[:, None]], 1), last[:, :, None]], 2)


def _check_finite(norm: Array) -> None:
    """Lengths of what is left of products: one that holds NaN or infinity leaves no number."""
    wrong = ~np.isfinite(norm)
    if wrong.any():
        raise InputError(
            f"products with matrices {wrong.nonzero()[0].tolist()[:5]} are not finite (NaN or infinity): the points "
            "have diverged, or the loss overflows there"
        )


def _check_symmetry(gaps: Array, scale: Array, accuracy: float) -> None:
    """The threshold is that of :meth:`KrylovBasis.check_symmetry`."""
    if not gaps.size:
        return
    gap = np.abs(gaps).max(1)
    wrong = gap > accuracy**0.5 * scale
    if wrong.any():
        p = int(wrong.argmax())
        raise InputError(
            f"matrix {p} is not symmetric or not deterministic: <Au, v> and <u, Av> differ by {gap[p]:.2g} where "
            f"entries reach {scale[p]:.2g}; the loss must be the same function in every evaluation"
        )
