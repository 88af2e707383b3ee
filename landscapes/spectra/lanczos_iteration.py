"""Thick-restart Lanczos with full reorthogonalisation: the ends of a spectrum by few products."""

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from ...ground.errors import InputError
from .completeness import Completeness, beyond
from .convergence import Convergence
from .eigenpairs import Eigenpairs, start_vector
from .ends import End
from .krylov_decomposition import KrylovDecomposition
from .lanczos_settings import LanczosOptions, LanczosSettings
from .operators import SymmetricOperator
from .request import check_request, wanted_indices
from .ritz_bound import ritz_bound
from .spectrum_bound import SpectrumBound, certainty_of_products

__all__ = ["lanczos"]

_FEWEST = 5  # products of a warm start


def lanczos(
    operator: SymmetricOperator,
    k: int = 1,
    *,
    which: End = "largest",
    max_products: int = 100,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    callback: Callable[[int, float, float], object] | None = None,
    **options: Unpack[LanczosOptions],
) -> Eigenpairs:
    """The ``k`` largest *algebraic* eigenvalues (or smallest, or ``k`` from each end) of a symmetric operator.

    After ``j`` products the orthonormal Krylov basis ``V`` (``j x d``) gives ``T = V A V^T``, tridiagonal; its
    eigenvalues ``theta_i`` with vectors ``s_i`` are the Ritz values, and ``|A v_i - theta_i v_i| = beta_j |s_(j,i)|``
    without a further product. A full basis is compressed to the Ritz vectors nearest the wanted ends and goes on from
    there (thick restart); ``T`` then has an arrow in front of its tridiagonal part.

    The values have settled when each is estimated to be within ``tolerance`` of an eigenvalue, relative to the largest
    of them (:class:`Convergence`). One vector sees one copy of a repeated eigenvalue, and little of a cluster; a given
    start may see nothing of some eigenvectors. So with ``k > 1`` or a given ``start`` the iteration then goes on from a
    random vector orthogonal to what was found (:class:`Completeness`), until the eigenvalues besides those found lie,
    with probability ``1 - delta``, at most ``tolerance`` beyond the last of them. What had been missed is taken in, and
    the check made again. It costs 5 to 30 products where the wanted values stand apart (on a digits network of 1210
    parameters in all 21, 19, 33 in place of 13, 14, 23 for 2, 5, 10 values), more inside a bulk, none for ``k = 1``.

    The values are exact, up to rounding, when the basis spans the whole space; where ``d <= max_products`` it may grow
    to that. If the Krylov space closes early, the iteration goes on in a random direction orthogonal to it.

    Args:
        operator: ``A``.
        k: number of eigenpairs, ``1 <= k <= d`` (at each end: ``2k <= d``).
        which: ``largest``, ``smallest`` or ``both``.
        max_products: most products to spend, at least as many as values are wanted.
        tolerance: relative accuracy of each value (ours: 1e-3, below what the choice of data changes).
        start: first vector, shape ``(d,)`` (warm start); default random. Near an eigenvector other than the first, the
            residual of that one is small at once, so a given start spends at least 5 products, and then a check.
        callback: called after each product with the number of products, the first value and its residual.
        **options: ``basis_size``, ``seed`` and ``delta``, see :class:`LanczosSettings`.

    Returns:
        Eigenpairs; ``converged=False`` where values have not settled or the check is open, which ``missing`` says.
        Residuals are those of exact arithmetic, but never below ``operator.accuracy`` times the largest entry of ``T``.
        ``bound`` holds the whole spectrum with probability ``1 - delta`` over the random start, in exact arithmetic
        (:func:`ritz_bound` of the steps before the first restart, widened by the accuracy of products: in float32 an
        estimate); None for a given start. ``rest`` is what the check has proven, in the same sense.

    Raises:
        InputError: an argument out of range, a product that is not finite, an operator found not to be symmetric.

    Reference:
        Wu & Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, SIAM J. Matrix Anal. Appl. 22
        (2000).

    Example:
        The eigenvalue of largest magnitude is not the largest one:

        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.tensor([1.0, -3.0], dtype=torch.float64)))
        >>> round(lanczos(operator).values.item(), 12)
        1.0
    """
    count = check_request(operator, k, which, max_products, tolerance)
    settings = LanczosSettings(**options)
    seed, delta = settings.seed, settings.delta
    # A random vector is blind to no eigenvector, but sees one copy of each eigenvalue; a given one may miss any.
    must_check = k > 1 or start is not None
    size = settings.vectors(count, operator.dim, max_products=max_products, must_check=must_check)
    space, rule = KrylovDecomposition(operator, size), Convergence(tolerance, operator.accuracy)
    space.add_end(start_vector(operator, start, seed))
    first_cycle = _FirstCycle()
    fresh = torch.Generator().manual_seed(seed + 1)
    check: Completeness | None = None
    rest: SpectrumBound | None = None
    checks, looked_outside, end = 0, False, 0
    for products in range(1, max_products + 1):
        norm = space.advance(end)
        theta, s = space.ritz()
        residuals = space.remainders(s)
        exhausted = space.size == operator.dim
        # A norm that rounding hides is not zero: divided by a small overlap it is a margin that counts.
        first_cycle.take(theta, 0.0 if exhausted else max(norm, space.noise))
        wanted = wanted_indices(which, k, space.size)
        settled = rule.met(theta, residuals, wanted) and len(wanted) == count
        if callback is not None:
            callback(products, float(theta[wanted[0]]), float(residuals[wanted[0]]))
        if exhausted:
            break
        slack = max(tolerance * float(theta[wanted].abs().max()), space.noise)
        if check is not None:
            rest = check.bound(norm)
        complete = not must_check or (rest is not None and beyond(rest, which, theta[wanted].tolist(), k) <= slack)
        early = start is not None and products < _FEWEST
        # A closed Krylov space proves nothing about eigenvectors that rounding hides: look once more outside.
        sure = settled and complete and not early and (norm or must_check or looked_outside)
        if sure or products == max_products:
            break
        if check is not None and check.found_beyond(slack):
            check = None  # go on with what had been missed
        elif check is not None and not complete and (not norm or space.size == size):
            break  # no further product of this check would say more
        elif check is None and settled and not complete and not early:
            checks += 1
            space.compress(s[:, wanted], theta[wanted])
            first_cycle.end()
            check, end = Completeness(space, which, k, delta / 2**checks), -1
            space.add_end(space.basis.outside(fresh))
            continue
        if check is not None and norm and not complete:
            continue
        check = None
        if space.size == size:
            keep = _kept(which, count, size)
            space.compress(s[:, keep], theta[keep])
            first_cycle.end()
            s = space.ritz()[1]
        if not space.ends:
            looked_outside = True
            space.add_end(space.basis.outside(fresh))
            first_cycle.end()
        end = space.most_open(s[:, wanted_indices(which, k, space.size)])
    return Eigenpairs(
        theta[wanted],
        space.basis.combined(s[:, wanted]),
        residuals[wanted].clamp(min=space.noise),
        products,
        exhausted or (settled and complete),
        first_cycle.bound(operator, delta) if start is None else None,
        operator.checked,
        rest,
        "" if exhausted else _missing(settled, complete, rest),
    )


def _missing(settled: bool, complete: bool, rest: SpectrumBound | None) -> str:
    """What stands between the values and convergence, in words."""
    if not settled:
        return "the values still move, or their residuals are above the tolerance; allow more products"
    if complete:
        return ""
    known = "nothing is known" if rest is None else f"they may lie anywhere in [{rest.lower:.6g}, {rest.upper:.6g}]"
    return (
        f"the values have settled, but whether copies of them or others beyond them were missed is open ({known}); "
        "allow more products, a larger basis_size or a larger tolerance"
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
        return SpectrumBound(lower, bound.upper + slack, delta, *certainty_of_products(operator.dtype))
