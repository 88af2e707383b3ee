"""A few steps of Lanczos: the best eigenvector for a fixed number of products, and little else to pay."""

import torch
from torch import Tensor

from ...ground.errors import InputError
from .eigenpairs import Eigenpairs, start_vector
from .lengths import length_of
from .operators import SymmetricOperator

__all__ = ["short_lanczos"]

_ASYMMETRIC = 0.1  # difference of entries from their mirror images, relative to the largest


def short_lanczos(
    operator: SymmetricOperator, products: int, *, start: Tensor | None = None, seed: int = 0
) -> Eigenpairs:
    """The largest algebraic eigenvalue in the Krylov space of ``products`` dimensions.

    For an eigenvector that is wanted often and needs not be certain, as an optimizer's: no restart, no check of
    convergence, no bound; see :func:`lanczos` for these. The basis is kept, ``products`` vectors, and orthogonalised
    twice.

    Args:
        operator: ``A``.
        products: to spend, at least 1; fewer where the Krylov space is smaller.
        start: first vector, shape ``(d,)``; default random.
        seed: of the random start.

    Returns:
        One pair, with ``|A v - value v|`` of exact arithmetic, and ``converged=False``.

    Raises:
        InputError: a start of wrong shape, a product that is not finite, an operator found not to be symmetric.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import DenseOperator
        >>> a = torch.diag(torch.tensor([3.0, 1.0, -5.0], dtype=torch.float64))
        >>> short_lanczos(DenseOperator(a), 3).values.tolist()
        [3.0]
    """
    if products < 1:
        raise InputError(f"{products} products; at least 1 is needed")
    products = min(products, operator.dim)
    v = start_vector(operator, start, seed)
    basis = torch.empty(products, operator.dim, dtype=v.dtype, device=v.device)
    matrix = torch.zeros(products, products, dtype=torch.float64)
    scale, beyond, count = 0.0, 0.0, 0
    for j in range(products):
        basis[j] = v
        space = basis[: j + 1]
        w = operator @ v
        found = space @ w
        w = torch.addmv(w, space.T, found, alpha=-1)
        again = space @ w
        w = torch.addmv(w, space.T, again, alpha=-1)
        *entries, beyond = torch.cat([found + again, length_of(w)[None]]).tolist()
        scale, count = max(scale, beyond, *map(abs, entries)), j + 1
        expected = [0.0] * j
        if j:
            expected[-1] = float(matrix[j, j - 1])
        off = max((abs(a - b) for a, b in zip(entries, expected, strict=False)), default=0.0)
        if off > _ASYMMETRIC * scale:
            raise InputError(
                f"the operator is not symmetric or not deterministic: entries differ by {off:.2g} from their mirror "
                f"images where the largest is {scale:.2g}; switch off what makes a loss change between two evaluations"
            )
        matrix[j, j] = entries[j]
        if beyond <= 100 * torch.finfo(v.dtype).eps * scale:  # the space is invariant
            beyond = 0.0
            break
        if j + 1 < products:
            matrix[j, j + 1] = matrix[j + 1, j] = beyond
            v = w / beyond
    values, vectors = torch.linalg.eigh(matrix[:count, :count])
    ritz = basis[:count].T @ vectors[:, -1].to(basis)
    return Eigenpairs(
        values[-1:],
        (ritz / length_of(ritz))[None],
        (beyond * vectors[-1, -1].abs())[None],
        count,
        converged=False,
        checked=operator.checked,
        missing="the number of products is fixed",
    )
