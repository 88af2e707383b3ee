"""A matrix on a growing subspace, with what leaves it: the one object behind Lanczos, restarts and fresh directions."""

from typing import final

import torch
from torch import Tensor

from .krylov_basis import KrylovBasis
from .operators import SymmetricOperator
from .probes import length

__all__ = ["KrylovDecomposition"]


@final
class KrylovDecomposition:
    """Orthonormal rows ``V`` (``j x d``) with ``A V^T = V^T T + R^T C^T`` and ``V R^T = 0``.

    ``T = V A V^T`` (``j x j``); the rows of ``R`` (``p x d``) are the *ends*: what products with ``V`` have left
    outside of its span; ``C`` (``j x p``) says with which. One end and a random first vector make Lanczos; rows may be
    replaced by Ritz vectors at any time (thick restart), and a new end that nothing is coupled with is a fresh start
    orthogonal to all that is known.

    Args:
        operator: ``A``.
        limit: most rows.

    Attributes:
        projected: ``T``, float64 on the CPU.

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> space = KrylovDecomposition(DenseOperator(torch.tensor([[2.0, 1.0], [1.0, 2.0]])), 2)
        >>> space.add_end(torch.tensor([1.0, 0.0]))
        >>> space.advance()
        1.0
        >>> space.projected.tolist(), [end.tolist() for end in space.ends]
        ([[2.0]], [[0.0, 1.0]])

    Reference:
        Stewart, A Krylov-Schur algorithm for large eigenproblems, SIAM J. Matrix Anal. Appl. 23 (2001), for symmetric
        matrices and with several ends; Wu & Simon, Thick-restart Lanczos, the same 22 (2000).
    """

    def __init__(self, operator: SymmetricOperator, limit: int) -> None:
        self.operator, self.basis = operator, KrylovBasis(operator, limit)
        self.projected = torch.zeros(0, 0, dtype=torch.float64)
        self.ends: list[Tensor] = []
        self._couplings = torch.zeros(0, 0, dtype=torch.float64)  # C
        self._scale = 0.0

    @classmethod
    def of_vectors(cls, operator: SymmetricOperator, vectors: Tensor, limit: int) -> "KrylovDecomposition":
        """The Ritz vectors in the span of orthonormal rows ``(k, d)``, by ``k`` products."""
        space = cls(operator, limit)
        space.basis.append(vectors)
        rest, coefficients = space.basis.split(operator @ vectors)
        space._scale = float(coefficients.abs().max())
        space.basis.check_symmetry(coefficients, coefficients.mT, space._scale)
        space.projected = (coefficients + coefficients.mT) / 2
        space.ends, space._couplings = list(rest), torch.eye(len(vectors), dtype=torch.float64)
        theta, s = space.ritz()
        space.compress(s, theta)
        return space

    @property
    def size(self) -> int:
        """``j``."""
        return self.basis.size

    @property
    def noise(self) -> float:
        """The error of a product, as a length: a shorter end says nothing."""
        return self.operator.accuracy * self._scale

    def add_end(self, v: Tensor) -> None:
        """A vector ``(d,)`` orthogonal to all rows, from which to go on; no row is coupled with it."""
        self.ends.append(v)
        self._couplings = torch.cat([self._couplings, self._couplings.new_zeros(self.size, 1)], 1)

    def advance(self, end: int = -1) -> float:
        """One product: the direction of an end becomes a row, and what its product leaves outside the newest end.

        Returns:
            The length of that end; 0 where nothing but rounding was left, and there is none.

        Raises:
            InputError: the product is not finite, the operator is found not to be symmetric.
        """
        remainder, own = self.ends.pop(end), self._couplings[:, end]
        others = [i for i in range(self._couplings.shape[1]) if i != end % self._couplings.shape[1]]
        couplings = self._couplings[:, others]
        norm = length(remainder)
        v = remainder / norm
        if self.ends:  # it was orthogonal to the rows at its time; of an end that has shrunk little may be left
            v, _ = self.basis.split(v)
            v = v / length(v)
        # The part of each other end along the new row leaves the end and enters T.
        along = torch.tensor([float(other.double() @ v.double()) for other in self.ends], dtype=torch.float64)
        self.ends = [other - float(share) * v for other, share in zip(self.ends, along, strict=True)]
        expected = norm * own + couplings @ along
        self.basis.append(v)
        w = self.operator @ v
        diagonal = float(w.double() @ v.double())
        w, coefficients = self.basis.split(w)
        self.basis.check_symmetry(coefficients[:-1], expected, self._scale)
        self.projected = _bordered(self.projected, expected, diagonal)
        self._scale = max(self._scale, float(self.projected[-1].abs().max()))
        couplings = torch.cat([couplings, couplings.new_zeros(1, len(self.ends))])
        norm = length(w)
        if norm <= self.noise or self.size == self.operator.dim:
            self._couplings = couplings
            return 0.0
        self.ends.append(w)
        self._couplings = torch.cat([couplings, torch.eye(self.size, dtype=torch.float64)[:, -1:]], 1)
        return norm

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of ``T``, increasing, and its eigenvectors as columns."""
        theta, s = torch.linalg.eigh(self.projected)
        return theta, s

    def remainders(self, s: Tensor) -> Tensor:
        """``|A y - theta y|`` of the Ritz vectors ``y = V^T s``; ``s`` holds columns ``(j, n)``: shape ``(n,)``."""
        if not self.ends:
            return torch.zeros(s.shape[1], dtype=torch.float64)
        weights = self._couplings.mT @ s
        if len(self.ends) == 1:
            return length(self.ends[0]) * weights[0].abs()
        scale = max(map(length, self.ends))  # squares may leave the range of numbers
        ends = torch.stack(self.ends) / scale
        gram = (ends @ ends.mT).double().cpu()
        return scale * ((gram @ weights) * weights).sum(0).clamp_min(0).sqrt()

    def most_open(self, s: Tensor) -> int:
        """Which end contributes most to the remainders of these Ritz vectors."""
        reach = (self._couplings.mT @ s).norm(dim=1) * torch.tensor([length(end) for end in self.ends])
        return int(reach.argmax())

    def compress(self, s: Tensor, theta: Tensor) -> None:
        """Keep the Ritz vectors ``V^T s`` (columns) with their values ``theta``, and the ends they are coupled with."""
        self.basis.compress(s)
        self._couplings = s.mT @ self._couplings
        self.projected = torch.diag(theta)
        reach = self._couplings.norm(dim=0) * torch.tensor([length(end) for end in self.ends], dtype=torch.float64)
        kept = [i for i, reached in enumerate(reach.tolist()) if reached > self.noise]
        self.ends, self._couplings = [self.ends[i] for i in kept], self._couplings[:, kept]


def _bordered(matrix: Tensor, border: Tensor, corner: float) -> Tensor:
    """A symmetric matrix with one more row and column."""
    corner_block = torch.tensor([[corner]], dtype=torch.float64)
    return torch.cat([torch.cat([matrix, border[None]]), torch.cat([border[:, None], corner_block])], 1)
