"""Orthonormal vectors that grow one by one, or block by block: the basis of a Krylov space."""

from typing import final

import torch
from torch import Tensor

from ...ground.errors import InputError
from .lengths import length_of
from .operators import SymmetricOperator

__all__ = ["KrylovBasis"]

_COLUMNS = 1 << 16  # columns that are rotated at a time: the copy they need is small against the basis


@final
class KrylovBasis:
    """At most ``limit`` orthonormal rows of length ``d`` in one tensor, in the operator's type and place.

    The tensor is doubled when it is full, because most runs stop long before the limit; while it is copied, half as
    much memory again is in use.

    Args:
        operator: gives ``d``, type, place and the accuracy of products.
        limit: most rows.

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> basis = KrylovBasis(DenseOperator(torch.eye(2)), 2)
        >>> basis.append(torch.tensor([1.0, 0.0]))
        >>> rest, coefficients = basis.split(torch.tensor([3.0, 4.0]))
        >>> rest.tolist(), coefficients.tolist()
        ([0.0, 4.0], [3.0])
    """

    def __init__(self, operator: SymmetricOperator, limit: int) -> None:
        self.operator, self.limit, self.size = operator, limit, 0
        self._tensor = torch.empty(min(limit, 16), operator.dim, dtype=operator.dtype, device=operator.device)

    @property
    def rows(self) -> Tensor:
        """The vectors, shape ``(size, d)``; a view."""
        return self._tensor[: self.size]

    def append(self, vectors: Tensor) -> None:
        """Add one unit vector ``(d,)`` or orthonormal rows ``(b, d)`` that are orthogonal to the rows."""
        vectors = vectors if vectors.ndim == 2 else vectors[None]
        needed = self.size + len(vectors)
        while needed > len(self._tensor):
            more = min(len(self._tensor), self.limit - len(self._tensor))
            self._tensor = torch.cat([self._tensor, self._tensor.new_empty(more, self.operator.dim)])
        self._tensor[self.size : needed] = vectors
        self.size = needed

    def split(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The part of ``w`` (``(d,)`` or ``(b, d)``) orthogonal to the rows, and the first pass's coefficients.

        Two passes of classical Gram-Schmidt ("twice is enough": Parlett, The Symmetric Eigenvalue Problem, 6.9).

        Returns:
            The rest, of the shape of ``w``; ``<w, row>``, shape ``(size,)`` or ``(b, size)``, float64 on the CPU.
        """
        first = w @ self.rows.mT
        w = w - first @ self.rows
        w = w - (w @ self.rows.mT) @ self.rows
        return w, first.double().cpu()

    def outside(self, generator: torch.Generator) -> Tensor:
        """A random unit vector orthogonal to the rows, shape ``(d,)``; the rows must not span everything."""
        v = torch.randn(self.operator.dim, generator=generator, dtype=torch.float64).to(self._tensor)
        for _ in range(2):  # a single normalisation would leave what rounding puts into a small rest
            v, _ = self.split(v)
            v = v / length_of(v)
        return v

    def combined(self, weights: Tensor) -> Tensor:
        """``weights.T @ rows``, scaled to length 1: shape ``(p, d)`` for weights ``(size, p)``."""
        vectors = weights.mT.to(self._tensor) @ self.rows
        unit: Tensor = vectors / length_of(vectors, keep=True)
        return unit

    def compress(self, weights: Tensor) -> None:
        """Replace the rows by ``weights.T @ rows`` (orthonormal columns, ``(size, p)``), in place, piece by piece."""
        kept = weights.shape[1]
        weights = weights.mT.to(self._tensor).contiguous()
        for piece in self.rows.split(_COLUMNS, dim=1):
            piece[:kept] = weights @ piece
        self.size = kept

    def check_symmetry(self, found: Tensor, expected: Tensor, scale: float) -> None:
        """Refuse an operator for which ``<A v_j, v_i>`` (found) is not ``<v_j, A v_i>`` (expected).

        Full orthogonalisation computes these numbers anyway. The threshold is the square root of the operator's
        accuracy (ours: rounding of float32 Hessian products, 1e-6 to 1e-5 of the scale, stays far below 3e-3; a
        Hessian of other data each time does not). Stochastic quadrature, whose yardstick is the longest product of a
        whole probe, takes the accuracy itself (``stochastic_quadrature``).

        Args:
            found: coefficients of the newest product, any shape.
            expected: the same from earlier products, out of the projected matrix.
            scale: largest magnitude in the projected matrix.

        Raises:
            InputError: they differ.
        """
        if not found.numel():
            return
        gap, scale = float((found - expected).abs().max()), max(scale, float(found.abs().max()))
        if gap > self.operator.accuracy**0.5 * scale:
            raise InputError(
                f"the operator is not symmetric or not deterministic: <Au, v> and <u, Av> differ by {gap:.2g} where "
                f"entries reach {scale:.2g}; fix the data and their order (no shuffling loader), switch off dropout "
                "and batch statistics (model.eval()), or state the accuracy of its products"
            )
