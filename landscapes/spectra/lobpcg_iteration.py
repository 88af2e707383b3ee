"""Scipy's LOBPCG behind the same interface: a second opinion, and a rival to measure against."""

import warnings
from dataclasses import replace

import numpy as np
import torch
from scipy.sparse.linalg import lobpcg as scipy_lobpcg
from torch import Tensor

from ...ground.errors import InputError
from .completeness import check_others
from .eigenpairs import Eigenpairs
from .ends import End
from .lanczos_iteration import lanczos
from .lengths import length_of
from .operators import SymmetricOperator
from .request import check_request, check_scale, check_whole

__all__ = ["lobpcg"]

_SCALE_PRODUCTS = 4  # of Lanczos: lambda_1 to some ten per cent, enough for a stopping rule


def lobpcg(
    operator: SymmetricOperator,
    k: int = 1,
    *,
    which: End = "largest",
    max_iterations: int = 100,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The ``k`` largest algebraic eigenvalues (or smallest, or ``k`` from each end) by ``scipy.sparse.linalg.lobpcg``.

    Each iteration multiplies ``k`` vectors and searches the span of ``k`` iterates, residuals and last directions:
    less memory than Lanczos, more products. Scipy's tolerance is absolute, so four products of Lanczos find the scale
    first. Residuals are recomputed from the vectors at the end. Both are counted in ``products``.

    Args:
        operator: ``A``.
        k: number of eigenpairs, ``5k <= d`` (scipy replaces the method by a dense one below that).
        which: ``largest``, ``smallest`` or ``both`` (two runs).
        max_iterations: most iterations of each run.
        tolerance: residual, relative to the largest value found (that of :func:`lanczos` is of the value).
        start: first block, shape ``(k, d)``, rows linearly independent; default random.
        seed: seed of the random start.

    Returns:
        Eigenpairs, no bound of the spectrum; ``converged`` where every recomputed residual is within the tolerance and,
        for a given start, which may miss any, :class:`Completeness` finds no others beyond within
        ``2 k max_iterations`` products.

    Raises:
        InputError: an argument out of range, a product that is not finite.

    Reference:
        Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned conjugate gradient
        method, SIAM J. Sci. Comput. 23 (2001).

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.arange(9.0, dtype=torch.float64)))
        >>> [round(value, 3) for value in lobpcg(operator).values.tolist()]
        [8.0]
    """
    check_whole(max_iterations=max_iterations, k=k, seed=seed)
    if max_iterations < 1:
        raise InputError(f"max_iterations = {max_iterations}; expected at least 1")
    check_request(operator, k, which, max_iterations * 2 * k, tolerance)
    if 5 * k > operator.dim:
        raise InputError(f"lobpcg finds k <= d/5 eigenpairs, not {k} of {operator.dim}; use lanczos")
    random = start is None
    if start is None:
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(k, operator.dim, generator=generator, dtype=torch.float64)
    if start.shape != (k, operator.dim):
        raise InputError(f"start block has shape {tuple(start.shape)}; expected ({k}, {operator.dim})")
    start = start.double().cpu()
    if torch.linalg.matrix_rank(start) < k:  # also where it holds a NaN
        raise InputError(f"the {k} rows of the start block are linearly dependent or not finite; leave it out")
    counted = _Counted(operator)
    few = lanczos(counted, which=which, max_products=_SCALE_PRODUCTS, tolerance=tolerance, seed=seed)
    scale = float(few.values.abs().max())  # from below: scipy stops a little late rather than early
    scipy_operator = counted.to_scipy()
    columns = start.mT.numpy().astype(scipy_operator.dtype)
    ends = {"largest": [True], "smallest": [False], "both": [True, False]}[which]
    found = []
    for largest in ends:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # not converged: the flag says it
            try:
                _, vectors = scipy_lobpcg(
                    scipy_operator, columns, largest=largest, tol=tolerance * scale, maxiter=max_iterations
                )
            except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
                raise InputError(f"scipy's lobpcg failed ({error}); scale the operator, or use lanczos") from error
        found.append(_ordered(counted, torch.from_numpy(vectors.T.copy()), largest))
    values, rows, residuals = (torch.cat(parts) for parts in zip(*found, strict=True))
    converged = bool((residuals <= tolerance * values.abs().max()).all())
    missing = "" if converged else "residuals are above the tolerance; allow more iterations"
    pairs = Eigenpairs(values, rows, residuals, counted.products, converged, checked=operator.checked, missing=missing)
    if random:  # as many random vectors as values see every copy
        return pairs
    budget = 2 * k * max_iterations * len(ends) + _SCALE_PRODUCTS
    rows, _ = torch.linalg.qr(rows.mT)  # of two runs
    aligned = replace(pairs, vectors=rows.mT.contiguous())
    checked = check_others(operator, aligned, which, k, tolerance=tolerance, max_products=budget, seed=seed)
    return replace(checked, vectors=pairs.vectors)


def _ordered(operator: SymmetricOperator, vectors: Tensor, largest: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rayleigh quotients in order, their unit vectors and honest residuals, by ``k`` products."""
    vectors = vectors.to(operator.device, operator.dtype)
    vectors = vectors / length_of(vectors, keep=True)
    products = (operator @ vectors).double()
    values = (vectors.double() * products).sum(1)
    residuals = torch.linalg.vector_norm(products - values[:, None] * vectors.double(), dim=1)
    order = values.argsort(descending=largest)
    return values[order].cpu(), vectors[order], residuals[order].cpu()


class _Counted(SymmetricOperator):
    """Counts the vectors that another operator multiplies."""

    def __init__(self, operator: SymmetricOperator) -> None:
        super().__init__(operator.dim, operator.dtype, operator.device, accuracy=operator.accuracy)
        self.operator, self.products = operator, 0

    def _product(self, v: Tensor) -> Tensor:
        self.products += 1
        product = self.operator @ v
        check_scale(product)
        return product

    def _product_rows(self, v: Tensor) -> Tensor:
        self.products += len(v)
        product = self.operator @ v
        check_scale(product)
        return product
