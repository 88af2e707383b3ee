"""An SDE's generator on polynomials of degree 2, from its coefficients at points: a truth that shares no code."""

import torch
from torch import Tensor
from torch.func import hessian, jacfwd, vmap

from .suite import Case


def polynomials(x: Tensor, degree: int) -> Tensor:
    """``1``, the entries, and with degree 2 their products ``x_i x_j``, ``i <= j``: shape ``(..., K)``."""
    i, j = torch.triu_indices(x.shape[-1], x.shape[-1])
    parts = [torch.ones_like(x[..., :1]), x, x[..., i] * x[..., j]]
    return torch.cat(parts[: degree + 1], -1)


def generator(case: Case, t: float = 0.0) -> Tensor:
    """``(L p)(x) = p(x) @ matrix``; so ``E p(X_t) = p(x_0) @ exp(t matrix)`` where time does not enter.

    ``L p = b . grad p + 1/2 tr(G G^T hess p)`` in the calculus of Ito, by derivatives at random points, fitted; a
    problem whose second moments are not closed fails.
    """
    sde, now = case.sde, torch.tensor(t, dtype=torch.float64)

    def applied(x: Tensor) -> Tensor:
        g, b = sde.diffusion(now, x), sde.drift(now, x)
        if sde.calculus == "stratonovich":
            b = b + torch.einsum("kji,ij->k", jacfwd(lambda y: sde.diffusion(now, y))(x), g) / 2
        first, second = (operator(lambda y: polynomials(y, 2))(x) for operator in (jacfwd, hessian))
        return first @ b + torch.einsum("kij,ij->k", second, g @ g.mT) / 2

    start = polynomials(case.start, 2)
    x = torch.randn(len(start) + 5, len(case.start), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = vmap(applied)(x)
    found = torch.linalg.lstsq(polynomials(x, 2), expected).solution
    torch.testing.assert_close(polynomials(x, 2) @ found, expected, rtol=0, atol=1e-10)
    return found
