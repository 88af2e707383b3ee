"""Symmetric matrices known by their products with vectors: all that solvers and estimators of this package take.

Vectors lie along the last axis, as everywhere: a batch of ``k`` vectors has shape ``(k, d)``, and so has the product.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from ...ground.errors import InputError

__all__ = ["DenseOperator", "FunctionOperator", "NotFiniteProductError", "SymmetricOperator"]


class NotFiniteProductError(InputError):
    """A product with NaN or infinity in it, where a training may want to leave out a step and go on."""


class SymmetricOperator(ABC):
    """A symmetric ``d x d`` matrix ``A`` given by its action; ``A @ v`` for ``(d,)``, ``A @ V`` for rows ``(k, d)``.

    Subclasses implement ``_product`` and, where several products cost less together, ``_product_rows``.

    Args:
        dim: ``d``.
        dtype: floating type of vectors and products.
        device: where both live.
        semidefinite: whether all eigenvalues are known to be at least 0.
        accuracy: relative error of a product (default: 100 units of rounding); what asymmetry is measured against.
    """

    def __init__(
        self,
        dim: int,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        *,
        semidefinite: bool = False,
        accuracy: float | None = None,
    ) -> None:
        if dim < 1:
            raise InputError(f"an operator has dimension {dim}; it must be at least 1")
        if not dtype.is_floating_point:
            raise InputError(f"an operator has dtype {dtype}; expected a real floating type such as torch.float64")
        self.dim, self.dtype, self.device = dim, dtype, torch.device(device)
        self.semidefinite = semidefinite
        self.accuracy = 100 * torch.finfo(dtype).eps if accuracy is None else accuracy

    @property
    def checked(self) -> str:
        """Whether and how it was checked that products are right, in words."""
        return "not checked: products are taken as they are given"

    @property
    def shape(self) -> tuple[int, int]:
        """``(d, d)``."""
        return self.dim, self.dim

    @abstractmethod
    def _product(self, v: Tensor) -> Tensor:
        """``A v`` of a vector of shape ``(d,)`` that has the right type and place."""

    def _product_rows(self, v: Tensor) -> Tensor:
        """Products of the rows of a matrix of shape ``(k, d)``."""
        return torch.stack([self._product(row) for row in v])

    @final
    def __matmul__(self, v: Tensor) -> Tensor:
        """``A v``, of the shape, type and place of ``v``.

        Raises:
            InputError: a vector of another shape or of integers, a product of another shape, or one that is not finite.
        """
        if not isinstance(v, Tensor) or not v.is_floating_point():
            found = f"dtype {v.dtype}" if isinstance(v, Tensor) else f"type {type(v).__name__}"
            raise InputError(f"a vector has {found}; expected a tensor of a real floating type")
        if v.ndim not in (1, 2) or v.shape[-1] != self.dim:
            raise InputError(
                f"a vector has shape {tuple(v.shape)}; this operator takes ({self.dim},) or rows (k, {self.dim})"
            )
        if not v.numel():
            return torch.zeros_like(v)
        given = v.detach().to(self.device, self.dtype, copy=True)  # a product may work in place
        product = self._product(given) if v.ndim == 1 else self._product_rows(given)
        if product.shape != v.shape:
            raise InputError(
                f"a product has shape {tuple(product.shape)}; expected that of the vector, {tuple(v.shape)}"
            )
        # A sum is the cheap test; that of large finite entries may overflow.
        if not torch.isfinite(product.sum()) and not torch.isfinite(product).all():
            raise NotFiniteProductError(
                "a product is not finite (NaN or infinity): the point has diverged, the loss overflows, or the vector "
                "was not finite; look at the loss and its gradient there"
            )
        return product.to(v)

    def to_scipy(self) -> LinearOperator:
        """The same matrix for ``scipy.sparse.linalg``, whose vectors are columns of a numpy array.

        Example:
            >>> import torch
            >>> from scipy.sparse.linalg import eigsh
            >>> operator = DenseOperator(torch.diag(torch.arange(5.0, dtype=torch.float64)))
            >>> [round(float(value), 12) for value in eigsh(operator.to_scipy(), 1, which="LA")[0]]
            [4.0]
        """
        numbers = np.dtype("float64" if self.dtype == torch.float64 else "float32")  # LAPACK has no halves

        def rows(columns: Any) -> Any:
            v = torch.from_numpy(np.array(columns.T, dtype=numbers, copy=True, order="C")).to(self.device)
            return (self @ v).cpu().numpy().T

        return LinearOperator(
            self.shape,
            matvec=lambda v: rows(v.reshape(-1)),
            rmatvec=lambda v: rows(v.reshape(-1)),
            matmat=rows,
            rmatmat=rows,
            dtype=numbers,
        )

    def dense(self) -> Tensor:
        """The matrix itself, by ``d`` products: for tests and small ``d``."""
        return self @ torch.eye(self.dim, dtype=self.dtype, device=self.device)


class DenseOperator(SymmetricOperator):
    """A symmetric matrix that is given.

    Example:
        >>> import torch
        >>> operator = DenseOperator(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
        >>> (operator @ torch.tensor([1.0, -1.0])).tolist()
        [1.0, -1.0]
    """

    def __init__(self, matrix: Tensor, *, semidefinite: bool = False) -> None:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise InputError(f"a matrix has shape {tuple(matrix.shape)}; expected a square one")
        super().__init__(len(matrix), matrix.dtype, matrix.device, semidefinite=semidefinite)
        asymmetry = float((matrix - matrix.mT).abs().max())
        if not asymmetry <= self.accuracy * float(matrix.abs().max()):  # also where it holds a NaN
            raise InputError(f"a matrix differs from its transpose by {asymmetry:g}; expected a symmetric, finite one")
        self.matrix = matrix

    def _product(self, v: Tensor) -> Tensor:
        return self.matrix @ v

    def _product_rows(self, v: Tensor) -> Tensor:
        return v @ self.matrix


class FunctionOperator(SymmetricOperator):
    """A symmetric matrix given by a function ``v -> A v`` on vectors of shape ``(d,)``.

    Example:
        >>> import torch
        >>> operator = FunctionOperator(lambda v: 3 * v, 2)
        >>> (operator @ torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)).tolist()
        [[3.0, 6.0], [0.0, 3.0]]
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        dim: int,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        *,
        semidefinite: bool = False,
        accuracy: float | None = None,
        checked: str | None = None,
    ) -> None:
        super().__init__(dim, dtype, device, semidefinite=semidefinite, accuracy=accuracy)
        self._function, self._checked = function, checked

    @property
    def checked(self) -> str:
        """What was said of it."""
        return self._checked or super().checked

    def _product(self, v: Tensor) -> Tensor:
        return self._function(v)
