"""Block Lanczos with full reorthogonalisation: for eigenvalues that are repeated or nearly so."""

import torch
from torch import Tensor

from ...ground.errors import InputError
from .completeness import check_others
from .convergence import Convergence
from .eigenpairs import Eigenpairs
from .ends import End
from .krylov_basis import KrylovBasis
from .lengths import length_of
from .operators import SymmetricOperator
from .request import check_request, check_scale, check_whole, wanted_indices

__all__ = ["block_lanczos"]


def block_lanczos(
    operator: SymmetricOperator,
    k: int,
    *,
    block_size: int | None = None,
    which: End = "largest",
    max_products: int = 100,
    tolerance: float = 1e-3,
    start: Tensor | None = None,
    seed: int = 0,
) -> Eigenpairs:
    """The ``k`` largest algebraic eigenvalues with their multiplicity (or the smallest, or ``k`` from each end).

    Powers of ``A`` applied to ``b`` vectors at once span the block Krylov space ``{V_1, A V_1, A^2 V_1 ...}``; with its
    orthonormal basis ``V`` the Ritz values are the eigenvalues of ``T = V A V^T``, block tridiagonal, and
    ``|A v_i - theta_i v_i| = |B s_i|`` with the last block ``B`` of norms and the last ``b`` entries of ``s_i``.
    One start vector sees one direction of each eigenspace; ``b`` random ones see ``min(b, multiplicity)`` of them.
    For separate eigenvalues :func:`lanczos` needs fewer products; this one multiplies ``b`` vectors at a time, which
    many operators do for less than ``b`` products. A given start, or fewer vectors than values, may miss some: then
    :class:`Completeness` looks for others, by ``k`` products and some more, and there is no convergence where some are
    found or the products do not suffice.

    Directions of a new block that are no more than the error of the products are dropped; where nothing is left, the
    space has closed, and the iteration looks once more outside, with one random vector.

    Args:
        operator: ``A``.
        k: number of eigenpairs, ``1 <= k <= d`` (at each end: ``2k <= d``).
        block_size: ``b``, at most ``d`` (default ``k``): the largest multiplicity that is seen.
        which: ``largest``, ``smallest`` or ``both``.
        max_products: most products to spend, ``b`` of them for each block; as many vectors are held in memory.
        tolerance: relative accuracy of each value, as for :func:`lanczos`.
        start: first block, shape ``(b, d)``, rows linearly independent; default random.
        seed: seed of the random start.

    Returns:
        Eigenpairs, no bound of the spectrum; ``converged=False`` where the products ran out or others were missed,
        which ``missing`` says.

    Raises:
        InputError: an argument out of range, a product that is not finite, an operator found not to be symmetric.

    Reference:
        Golub & Underwood, The block Lanczos method for computing eigenvalues, Mathematical Software III (1977).

    Example:
        >>> import torch
        >>> from eigensam.landscapes.spectra.operators import DenseOperator
        >>> operator = DenseOperator(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0, 0.5, 0.0], dtype=torch.float64)))
        >>> [round(value, 9) for value in block_lanczos(operator, 3).values.tolist()]
        [2.0, 2.0, 2.0]
    """
    count = check_request(operator, k, which, max_products, tolerance)
    check_whole(seed=seed, **({} if block_size is None else {"block_size": block_size}))
    b = (k if start is None else len(start)) if block_size is None else block_size
    if not 1 <= b <= operator.dim or b > max_products:
        raise InputError(
            f"block_size = {b}; expected 1 <= block_size <= {min(operator.dim, max_products)} (dimension, max_products)"
        )
    size = min(max_products, operator.dim)
    basis, rule = KrylovBasis(operator, size), Convergence(tolerance, operator.accuracy)
    projected = torch.zeros(size, size, dtype=torch.float64)
    fresh = torch.Generator().manual_seed(seed + 1)
    block = _first_block(operator, basis, b, start, seed)
    looked_outside = False
    while True:
        old, new = basis.size, slice(basis.size, basis.size + len(block))
        basis.append(block)
        w = operator @ block
        check_scale(w)
        w, coefficients = basis.split(w)
        scale = float(projected.abs().max())
        basis.check_symmetry(coefficients[:, :old], projected[new, :old], scale)
        own = coefficients[:, new]
        basis.check_symmetry(own, own.mT, scale)
        projected[new, new] = (own + own.mT) / 2
        j = basis.size
        theta, s = torch.linalg.eigh(projected[:j, :j])
        scale = max(abs(float(theta[0])), abs(float(theta[-1])))
        block, norms = _orthonormal(w, operator.accuracy * scale)
        if len(block):
            block = basis.split(block)[0]  # dividing by a small norm enlarges what rounding has left along the basis
            block = block / length_of(block, keep=True)
        residuals = torch.linalg.vector_norm(norms @ s[new], dim=0)
        wanted = wanted_indices(which, k, j)
        settled = rule.met(theta, residuals, wanted) and len(wanted) == count
        exhausted, closed = j == operator.dim, not len(block)
        spent = size < operator.dim and j + max(len(block), 1) > size
        if exhausted or spent or (settled and (looked_outside or not closed)):
            break
        if closed:
            looked_outside, block = True, basis.outside(fresh)[None]
        else:
            block, norms = block[: operator.dim - j], norms[: operator.dim - j]  # more can only be rounding
            projected[j : j + len(block), new] = norms
            projected[new, j : j + len(block)] = norms.mT
    pairs = Eigenpairs(
        theta[wanted],
        basis.combined(s[:, wanted]),
        residuals[wanted],
        j,
        settled or exhausted,
        checked=operator.checked,
        missing=""
        if settled or exhausted
        else "the values still move, or their residuals are large; allow more products",
    )
    if exhausted or (b >= k and start is None):  # as many random vectors as values see every copy
        return pairs
    return check_others(operator, pairs, which, k, tolerance=tolerance, max_products=max_products, seed=seed)


def _first_block(operator: SymmetricOperator, basis: KrylovBasis, b: int, start: Tensor | None, seed: int) -> Tensor:
    if start is None:
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(b, operator.dim, generator=generator, dtype=torch.float64)
    if start.shape != (b, operator.dim):
        raise InputError(f"start block has shape {tuple(start.shape)}; expected ({b}, {operator.dim})")
    start = start.to(operator.device, operator.dtype)
    if not torch.isfinite(start).all():
        raise InputError("start block is not finite; leave it out to draw one at random")
    start = start / length_of(start, keep=True)
    block, _ = _orthonormal(start, b * operator.accuracy)
    if len(block) < b:
        raise InputError(f"the {b} rows of the start block are linearly dependent; leave it out to draw one at random")
    return block


def _orthonormal(w: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Orthonormal rows ``Q`` (``(b', d)``) and ``B`` (``(b', b)``, float64 on the CPU) with ``w = B.T Q``.

    Directions in which ``w`` (``(b, d)``) is at most ``noise`` long are dropped, so ``b' <= b``.
    """
    q, r = torch.linalg.qr(w.mT)
    u, lengths, v = torch.linalg.svd(r.double().cpu())
    kept = lengths > noise
    return u[:, kept].mT.to(w) @ q.mT, lengths[kept, None] * v[kept]
