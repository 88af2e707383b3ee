"""A problem whose noise is given by its covariance."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ....ground.errors import InputError
from .problem import SDEProblem

__all__ = ["covariance_problem", "row_root", "semidefinite_root"]

_SMALL = {torch.float32: 1e-5, torch.float64: 1e-12}  # of a component's own variance: what rounding leaves of zero

_BELOW = 1000  # ours: times that far below zero, rounding of earlier pivots leaves one of a singular matrix


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
    d, small = len(covariance), _SMALL[covariance.dtype]
    variance = covariance.diagonal()
    scale = torch.where(variance == 0, torch.ones_like(variance), variance.abs()).sqrt()
    correlation = covariance / (scale[:, None] * scale)  # so that small components are not taken for rounding
    nothing, number = torch.zeros_like(scale), torch.arange(d, device=covariance.device)
    columns: list[Tensor] = []
    for j in range(d):
        rest = correlation[:, j]
        for column in columns:
            rest = rest - column * column[j]
        rest, pivot = torch.where(number >= j, rest, nothing), rest[j]
        vanishes = (pivot <= small) & (pivot >= -_BELOW * small) & (rest.abs().amax() <= (_BELOW * small) ** 0.5)
        root = torch.sqrt(torch.where(vanishes, torch.ones_like(pivot), torch.where(pivot > small, pivot, -1.0)))
        columns.append(torch.where(vanishes, nothing, rest / root))
    return torch.stack(columns, 1) * scale[:, None]


def row_root(columns: Tensor) -> Tensor:
    """The lower factor ``G`` with ``G G^T = C C^T``, without that product, which has half of the digits.

    Rows of ``C`` are made orthogonal one after the other (Gram and Schmidt), each relative to its own length.

    Args:
        columns: ``C``, shape ``(d, M)``.

    Example:
        >>> import torch
        >>> factor = row_root(torch.tensor([[3.0, 4.0], [0.0, 1e-9]]))
        >>> factor[0].tolist(), (1e10 * factor[1]).round().tolist()
        ([5.0, 0.0], [8.0, 6.0])
    """
    small = _SMALL[columns.dtype]
    directions: list[Tensor] = []
    rows: list[Tensor] = []
    for row in columns:
        entries: list[Tensor] = []
        rest = row
        for _ in range(2):  # twice is enough (Parlett): the first leaves rounding of the row's length
            for j, direction in enumerate(directions):
                part = (rest * direction).sum()
                rest = rest - part * direction
                entries[j : j + 1] = [entries[j] + part] if j < len(entries) else [part]
        square, whole = (rest * rest).sum(), (row * row).sum()
        vanishes = square <= small**2 * whole
        length = torch.sqrt(torch.where(vanishes, torch.ones_like(square), square))
        directions.append(torch.where(vanishes, torch.zeros_like(rest), rest / length))
        own = torch.where(vanishes, torch.zeros_like(length), length)
        rows.append(torch.stack([*entries, own, *[torch.zeros_like(own)] * (len(columns) - len(entries) - 1)]))
    return torch.stack(rows)


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
