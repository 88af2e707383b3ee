"""A problem whose noise is given by its covariance."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...ground.errors import InputError
from .problem import SDEProblem

__all__ = ["covariance_problem", "semidefinite_root"]

_SMALL = {torch.float32: 1e-5, torch.float64: 1e-12}  # of the largest variance: rounding of a zero pivot


def semidefinite_root(covariance: Tensor) -> Tensor:
    """Cholesky's lower factor ``G`` with ``G G^T = Sigma``, also of a singular matrix, where a column is then zero.

    Its course does not depend on the numbers. A matrix that is not positive semidefinite gives NaN.

    Args:
        covariance: ``Sigma``, shape ``(d, d)``; only its lower triangle is looked at.

    Example:
        >>> import torch
        >>> semidefinite_root(torch.tensor([[4.0, 2.0], [2.0, 1.0]])).tolist()
        [[2.0, 0.0], [1.0, 0.0]]
    """
    d, small = len(covariance), _SMALL[covariance.dtype] * covariance.diagonal().abs().amax()
    columns: list[Tensor] = []
    for j in range(d):
        rest = covariance[:, j]
        for column in columns:
            rest = rest - column * column[j]
        pivot = rest[j]
        zero = pivot.abs() <= small
        root = torch.sqrt(torch.where(zero, torch.ones_like(pivot), pivot))
        column = torch.where(zero, torch.zeros_like(rest), rest / root)
        below = torch.arange(d, device=covariance.device) >= j
        columns.append(torch.where(below, column, torch.zeros_like(column)))
    return torch.stack(columns, 1)


def covariance_problem(
    drift: Callable[[Tensor, Any], Tensor], covariance: Callable[[Tensor, Any], Tensor], *, t0: float = 0.0
) -> SDEProblem:
    """``dX = b(t, X) dt + dM`` with ``d<M> = Sigma(t, X) dt``, in Ito's sense.

    Args:
        drift: ``b(t, x)``, shape ``(d,)``.
        covariance: ``Sigma(t, x)``, shape ``(d, d)``, symmetric and positive semidefinite.
        t0: time of the start.

    Raises:
        InputError: when it is simulated: a matrix of another shape, or one near the start that is not symmetric or not
            positive semidefinite. Where that happens later, paths leave the finite numbers, which is reported.

    Example:
        >>> import torch
        >>> problem = covariance_problem(lambda t, x: -x, lambda t, x: torch.outer(x, x))
        >>> problem.diffusion(torch.tensor(0.0), torch.tensor([2.0, 1.0])).tolist()
        [[2.0, 0.0], [1.0, 0.0]]
    """

    def diffusion(t: Tensor, x: Tensor) -> Tensor:
        sigma = covariance(t, x)
        _check(sigma, x)
        return semidefinite_root(sigma)

    return SDEProblem(drift, diffusion, t0=t0)


def _check(sigma: Tensor, x: Tensor) -> None:
    """Of numbers; while a function is recorded, there are none."""
    if not isinstance(sigma, Tensor) or sigma.shape != (*x.shape, *x.shape):
        shape = tuple(sigma.shape) if isinstance(sigma, Tensor) else type(sigma).__name__
        raise InputError(
            f"the covariance gives {shape} at one point of shape {tuple(x.shape)}; expected a matrix (d, d)"
        )
    if not _has_numbers(sigma) or not bool(sigma.isfinite().all()):
        return
    size = float(sigma.abs().max())
    tolerance = 100 * _SMALL[sigma.dtype] * size
    if float((sigma - sigma.mT).abs().max()) > tolerance:
        raise InputError(f"the covariance is not symmetric at {x.tolist()}: {sigma.tolist()}; return (S + S.T) / 2")
    lowest = float(torch.linalg.eigvalsh(sigma)[0])
    if lowest < -tolerance:
        raise InputError(
            f"the covariance is not positive semidefinite at {x.tolist()}: its lowest eigenvalue is {lowest:.3g}; give "
            "Sigma itself, not its negative or a root"
        )


def _has_numbers(tensor: Tensor) -> bool:
    """Whether this is a plain tensor, not one that is recorded or differentiated."""
    return type(tensor) is Tensor and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
