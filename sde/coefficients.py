"""Increments, drift and covariance as numbers, generated from the derivation (theory, section 2).

``dX = b(X) dt + sqrt(eta) Sigma(X)^{1/2} dW`` with ``b = E h + eta b_1`` and ``Sigma = Cov h'`` over minibatches.
"""

from collections.abc import Mapping

from torch import Tensor

from ..landscapes import InputError, Landscape
from .symbolic.algebra import Sum
from .symbolic.derivation import SDE
from .symbolic.passes import Passes, Values, bind
from .symbolic.rules import Rule
from .symbolic.steps import evaluate

__all__ = ["drift_and_covariance", "exact_increments", "moments", "truncated_increments"]


def exact_increments(landscape: Landscape, rule: Rule, x: Tensor, rho: float, values: Values | None = None) -> Tensor:
    """``h_m``, the discrete rule's step divided by ``eta``, shape ``(..., M, d)``.

    Args:
        landscape: the family of losses.
        rule: the update rule.
        x: points, shape ``(d,)`` or ``(..., 1, d)``.
        rho: perturbation radius.
        values: of the rule's other parameters and directions.

    Raises:
        InputError: a symbol of the rule has no value, or points of another shape.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import exact_increments, find_rule
        >>> f = Quadratic([[2.0]], centres=[[0.0]])
        >>> exact_increments(f, find_rule("sam"), torch.ones(1, dtype=torch.float64), 0.5).tolist()
        [[-3.0]]
    """
    x = _points(landscape, x)
    result = -evaluate(rule.direction, landscape, x, bind(rule, landscape, rho, values))
    return result.expand(*x.shape[:-2], landscape.size, landscape.dim)


def truncated_increments(landscape: Landscape, sde: SDE, x: Tensor, rho: float, values: Values | None = None) -> Tensor:
    """``h_m`` truncated in ``rho`` as the SDE's drift keeps it, shape ``(..., M, d)``.

    Arguments and errors as of :func:`exact_increments`.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import find_rule, truncate, truncated_increments
        >>> f, sde = Quadratic([[2.0]], centres=[[0.0]]), truncate(find_rule("usam"), "1/2", drift_order=2)
        >>> truncated_increments(f, sde, torch.ones(1, dtype=torch.float64), 0.5).tolist()  # -(g + rho H g)
        [[-4.0]]
    """
    x = _points(landscape, x)
    passes = Passes(landscape, x, bind(sde.rule, landscape, rho, values))
    return passes.vector(_in_rho(sde.increments)).expand(*x.shape[:-2], landscape.size, landscape.dim)


def drift_and_covariance(
    landscape: Landscape, sde: SDE, x: Tensor, rho: float, eta: float, values: Values | None = None
) -> tuple[Tensor, Tensor]:
    """``b``, shape ``(..., d)``, and ``Sigma``, shape ``(..., d, d)``.

    Args:
        landscape: the family of losses.
        sde: from :func:`derive` or :func:`truncate`.
        x: points, shape ``(d,)`` or ``(..., 1, d)``.
        rho: perturbation radius.
        eta: learning rate, which multiplies the correction ``b_1``.
        values: of the rule's other parameters and directions.

    Raises:
        InputError: a symbol of the rule has no value, or points of another shape.

    Example:
        Li, Tai and E's order-2 SDE of SGD has the drift ``-grad f - eta/4 grad |grad f|^2``:

        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive, drift_and_covariance, find_rule
        >>> f, sde = Quadratic([[2.0]], centres=[[0.0], [1.0]]), derive(find_rule("sgd"), 2, 1)
        >>> b, sigma = drift_and_covariance(f, sde, torch.ones(1, dtype=torch.float64), rho=0.1, eta=0.5)
        >>> b.tolist(), sigma.tolist()
        ([-1.5], [[1.0]])
    """
    x = _points(landscape, x)
    shape = (*x.shape[:-2], landscape.size, landscape.dim)
    passes = Passes(landscape, x, bind(sde.rule, landscape, rho, values))
    increments = passes.vector(_in_rho(sde.increments)).expand(shape)
    noisy = increments if sde.diffusion == sde.increments else passes.vector(_in_rho(sde.diffusion)).expand(shape)
    drift, _ = moments(increments)
    _, covariance = moments(noisy)
    if sde.correction:
        drift = drift + eta * passes.vector(_in_rho(sde.correction)).squeeze(-2)
    return drift, covariance


def moments(increments: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``b``, shape ``(..., d)``, and covariance ``Sigma``, shape ``(..., d, d)``, over the member axis.

    Example:
        >>> import torch
        >>> from eigensam.sde import moments
        >>> mean, covariance = moments(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
        >>> mean.tolist(), covariance.tolist()
        ([2.0, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    """
    mean = increments.mean(-2)
    centred = increments - mean.unsqueeze(-2)
    return mean, centred.mT @ centred / increments.shape[-2]


def _points(landscape: Landscape, x: Tensor) -> Tensor:
    x = x[None] if x.ndim == 1 else x
    if x.shape[-2:] != (1, landscape.dim):
        raise InputError(
            f"points have shape {tuple(x.shape)}; expected ({landscape.dim},) or (..., 1, {landscape.dim}): a batch "
            "of points needs a member axis, x[:, None]"
        )
    return x


def _in_rho(coefficients: Mapping[int, Sum]) -> Sum:
    """``sum_k c_k rho^k`` as one expression, so that its terms share passes."""
    total = Sum()
    for power, coefficient in coefficients.items():
        total = total + coefficient * Sum.parameter("rho").power(power)
    return total
