"""Thick-restart Lanczos with full reorthogonalisation: the ends of a spectrum by few products."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import InputError
from .convergence import Convergence
from .eigenpairs import Eigenpairs, End, SpectrumBound, start_vector
from .krylov_basis import KrylovBasis
from .operators import SymmetricOperator
from .request import check_request, wanted_indices
from .ritz_bound import ritz_bound

__all__ = ["lanczos"]

_FEWEST = 5  # products of a warm start


def lanczos(
    operator: SymmetricOperator,
    k: int = 1,
    *,
    which: End = "largest",
    max_products: int = 100,
    tolerance: float = 1e-3,
    basis_size: int | None = None,
    start: Tensor | None = None,
    seed: int = 0,
    delta: float = 0.05,
    callback: Callable[[int, float, float], object] | None = None,
) -> Eigenpairs:
    """The ``k`` largest *algebraic* eigenvalues (or smallest, or ``k`` from each end) of a symmetric operator.

    After ``j`` products the orthonormal Krylov basis ``V`` (``j x d``) gives ``T = V A V^T``, tridiagonal; its
    eigenvalues ``theta_i`` with vectors ``s_i`` are the Ritz values, and ``|A v_i - theta_i v_i| = beta_j |s_(j,i)|``
    without a further product. A full basis is compressed to the Ritz vectors nearest the wanted ends and goes on from
    there (thick restart); ``T`` then has an arrow in front of its tridiagonal part.

    Stops when each wanted value is estimated to be within ``tolerance`` of its eigenvalue, relative to the largest of
    them (:class:`Convergence`), when the basis spans the whole space, or after ``max_products``. If the Krylov space
    closes early (repeated eigenvalues), the iteration goes on in a random direction orthogonal to it, at most ``k``
    times once the values have settled. Copies of a repeated eigenvalue that appear only later are missed: use
    :func:`block_lanczos` for those.

    Args:
        operator: ``A``.
        k: number of eigenpairs, ``1 <= k <= d`` (at each end: ``2k <= d``).
        which: ``largest``, ``smallest`` or ``both``.
        max_products: most products to spend, at least as many as values are wanted.
        tolerance: relative accuracy of each value (ours: 1e-3, below what the choice of data changes).
        basis_size: most vectors in memory, at least two more than values wanted, or ``d`` (default
            ``max(4k + 20, 40)``, ours: one to ten outliers above a bulk need 6 to 30 products, and few runs restart).
        start: first vector, shape ``(d,)`` (warm start); default random. Near an eigenvector other than the first, the
            residual of that one is small at once, so a given start spends at least 5 products before it may stop; only
            a random start is never blind to an eigenvector.
        seed: seed of the random start and of the random directions.
        delta: probability that the bound of the spectrum fails.
        callback: called after each product with the number of products, the first value and its residual.

    Returns:
        Eigenpairs; ``converged=False`` where the products ran out. Residuals are those of exact arithmetic, but
        never below ``operator.accuracy`` times the largest entry of ``T``. ``bound`` holds the whole spectrum with
        probability ``1 - delta`` over the random start, in exact arithmetic (:func:`ritz_bound` of the steps before the
        first restart, widened by the accuracy of products: in float32 an estimate); None for a given start.

    Raises:
        InputError: an argument out of range, a product that is not finite, an operator found not to be symmetric.

    Reference:
        Wu & Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, SIAM J. Matrix Anal. Appl. 22
        (2000).

    Example:
        The eigenvalue of largest magnitude is not the largest one:

        >>> import torch
        >>> from eigensam.landscapes.curvature.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64)))
        >>> round(lanczos(operator).values.item(), 12)
        1.0
    """
    count = check_request(operator, k, which, max_products, tolerance)
    if not 0 < delta < 1:
        raise InputError(f"delta = {delta} is not a probability of failure; expected 0 < delta < 1")
    least = min(count + 2, operator.dim)
    if basis_size is not None and basis_size < least:
        raise InputError(
            f"basis_size = {basis_size} cannot hold {count} Ritz vectors and what they grow by; use {least}"
        )
    size = min(max(4 * count + 20, 40) if basis_size is None else basis_size, operator.dim, max(max_products, least))
    basis, rule = KrylovBasis(operator, size), Convergence(tolerance, operator.accuracy)
    projected = torch.zeros(size, size, dtype=torch.float64)
    first_cycle = _FirstCycle()
    fresh = torch.Generator().manual_seed(seed + 1)
    v = start_vector(operator, start, seed)
    looked_outside = 0
    for products in range(1, max_products + 1):
        j = basis.size
        basis.append(v)
        w = operator @ v
        projected[j, j] = w.double() @ v.double()
        w, coefficients = basis.split(w)
        scale = float(projected.abs().max())
        basis.check_symmetry(coefficients[:j], projected[j, :j], scale)
        beta = float(w.double().norm())
        theta, s = torch.linalg.eigh(projected[: j + 1, : j + 1])
        # What is left is the error of the product: the Krylov space has closed.
        closed = beta <= operator.accuracy * scale or j + 1 == operator.dim
        residuals = beta * s[-1].abs()
        # A norm that rounding hides is not zero: divided by a small overlap it is a margin that counts.
        first_cycle.take(theta, 0.0 if j + 1 == operator.dim else max(beta, operator.accuracy * scale))
        wanted = wanted_indices(which, k, j + 1)
        settled = rule.met(theta, residuals, wanted) and len(wanted) == count
        if callback is not None:
            callback(products, float(theta[wanted[0]]), float(residuals[wanted[0]]))
        exhausted = j + 1 == operator.dim
        early = start is not None and products < _FEWEST
        # A closed Krylov space proves nothing about eigenvectors orthogonal to the start: look once more outside.
        if exhausted or (settled and not early and not (closed and looked_outside < k)) or products == max_products:
            break
        couplings = beta * s[-1]
        if closed:
            looked_outside += 1
            v, beta, couplings = basis.outside(fresh), 0.0, torch.zeros_like(couplings)
            first_cycle.end()
        else:
            v = w / beta
        if j + 1 == size:
            keep = _kept(which, count, size)
            basis.compress(s[:, keep])
            projected.zero_()
            projected.diagonal()[: len(keep)] = theta[keep]
            projected[len(keep), : len(keep)] = projected[: len(keep), len(keep)] = couplings[keep]
            first_cycle.end()
        else:
            projected[j + 1, j] = projected[j, j + 1] = beta
    return Eigenpairs(
        theta[wanted],
        basis.combined(s[:, wanted]),
        residuals[wanted].clamp(min=operator.accuracy * scale),
        products,
        settled or exhausted,
        first_cycle.bound(operator, delta) if start is None else None,
        operator.checked,
    )


def _kept(which: End, count: int, size: int) -> list[int]:
    """Places of the Ritz vectors that survive a restart (ours: the wanted ones and half of the rest, near them)."""
    kept = min(size - 1, count + (size - count) // 2)
    if which == "both":
        return list(range(kept // 2)) + list(range(size - (kept - kept // 2), size))
    return list(range(kept)) if which == "smallest" else list(range(size - kept, size))


class _FirstCycle:
    """Ritz values and norms up to the first restart or closing: what a bound may use."""

    def __init__(self) -> None:
        self.theta, self.betas, self.open = torch.empty(0), list[float](), True

    def take(self, theta: Tensor, beta: float) -> None:
        if self.open:
            self.theta = theta
            self.betas.append(beta)

    def end(self) -> None:
        self.open = False

    def bound(self, operator: SymmetricOperator, delta: float) -> SpectrumBound:
        bound = ritz_bound(self.theta.tolist(), self.betas, operator.dim, delta, semidefinite=operator.semidefinite)
        if operator.semidefinite and float(self.theta[0]) < -10 * operator.accuracy * float(self.theta.abs().max()):
            raise InputError(
                f"the operator was said to be semidefinite, but a Ritz value is {float(self.theta[0]):.4g}; say "
                "semidefinite=False (of GaussNewton, convex=False)"
            )
        # About what products with a relative error move eigenvalues by.
        slack = operator.accuracy * max(abs(float(self.theta[0])), abs(float(self.theta[-1])))
        lower = bound.lower if operator.semidefinite else bound.lower - slack
        return SpectrumBound(lower, bound.upper + slack, delta)
