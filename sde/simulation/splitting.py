"""The symmetric splitting of an SDE, ``dX = b dt + sqrt(eta) Sigma^{1/2} dW``: drift by Runge-Kutta, then noise.

Half a step along the drift's flow, one kick with all of the step's noise, its covariance frozen at the middle, another
half. Orders in the step ``h``, for noise of a fixed size: weak order 1 and strong order 1/2; where the noise is
additive, weak order 2 and strong order 1. Here the noise is small, of variance ``eta h Sigma`` in a step: the flow is
off by ``O(h^4)``, the splitting's commutators by ``O(eta h^2)``, the noise frozen at the middle and any symmetric kick
of the right covariance by ``O(eta^2 h)``. With ``h = eta`` the small-noise weak order is 3, one more than that of the
SDEs that are verified (Milstein and Tretyakov 1997, on small noise).

The noise is given by its columns ``c_m``, shape ``(N, M, d)`` at points ``(N, d)``: ``Sigma = (1/M) sum_m c_m c_m^T``.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .runge_kutta import runge_kutta_step

__all__ = ["splitting_mean", "splitting_path"]


def splitting_path(
    drift: Callable[[Tensor], Tensor],
    columns: Callable[[Tensor], Tensor] | None,
    x: Tensor,
    normals: Tensor,
    *,
    eta: float,
    step: float,
) -> Tensor:
    """Move points through steps of length ``h`` with Gaussian kicks ``sqrt(eta h / M) sum_m z_m c_m``.

    Two half steps along the drift between kicks are one.

    Args:
        drift: ``b``, maps ``(N, d)`` to ``(N, d)``.
        columns: ``c_m``, maps ``(N, d)`` to ``(N, M, d)``; None: no noise.
        x: points at the start, shape ``(N, d)``.
        normals: ``z``, shape ``(N, steps, M)``.
        eta: the factor of the covariance.
        step: ``h``.

    Returns:
        Points at the end, shape ``(N, d)``.

    Example:
        ``dX = -X dt + sqrt(eta) dW`` over two steps, of which the second is still:

        >>> import torch
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> z = torch.tensor([[[1.0], [0.0]]], dtype=torch.float64)
        >>> end = splitting_path(lambda x: -x, lambda x: torch.ones_like(x)[:, None], one, z, eta=0.01, step=0.01)
        >>> round(end.item(), 6)  # e^{-0.02} + 0.01 e^{-0.015}
        0.99005
    """
    for k, z in enumerate(normals.unbind(1)):
        x = runge_kutta_step(drift, x, step / 2 if k == 0 else step)
        if columns is not None:
            c = columns(x)
            x = x + (eta * step / c.shape[-2]) ** 0.5 * torch.einsum("nm,nmd->nd", z, c)
    result: Tensor = runge_kutta_step(drift, x, step / 2)
    return result


def splitting_mean(
    drift: Callable[[Any], Any], columns: Callable[[Any], Any], x: Any, function: Callable[[Any], Any], eta: Any
) -> Any:
    """Average a function after one step of length ``eta``: ``(e^{eta L} phi)(x)`` up to ``O(eta^4)``, without sampling.

    Kicks ``+- eta c_m`` with probability ``1 / 2M`` each have the covariance ``eta^2 Sigma``. Arithmetic alone, so it
    serves arrays of multi-precision numbers, too.

    Args:
        drift: ``b``, maps ``(N, d)`` to ``(N, d)``.
        columns: ``c_m``, maps ``(N, d)`` to ``(N, M, d)``.
        x: points, shape ``(N, d)``.
        function: ``phi``, maps ``(N, d)`` to ``(N, K)``.
        eta: the step, and the factor of the covariance.

    Example:
        ``E X^2`` of ``dX = sqrt(eta) dW`` grows by ``eta^2`` in a step:

        >>> import numpy as np
        >>> one = lambda x: np.ones((1, 1, 1))
        >>> round(splitting_mean(lambda x: 0 * x, one, np.zeros((1, 1)), lambda x: x**2, 0.5).item(), 6)
        0.25
    """
    middle = runge_kutta_step(drift, x, eta / 2)
    kicks = eta * columns(middle)
    total = 0
    for m in range(kicks.shape[1]):
        for end in (middle + kicks[:, m], middle - kicks[:, m]):
            total = total + function(runge_kutta_step(drift, end, eta / 2))
    return total / (2 * kicks.shape[1])
