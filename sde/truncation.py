"""From a rule to the drift and covariance of its SDE, truncated in ``rho`` (theory, section 2).

``dX = b(X) dt + sqrt(eta) Sigma(X)^{1/2} dW`` with ``b = E h`` and ``Sigma = Cov h`` over minibatches, where ``h`` is
the rule's increment with the powers ``rho^0 .. rho^{m}`` kept; the *drift order* is ``m + 1``.
"""

from collections.abc import Sequence

from torch import Tensor

from ..landscapes import InputError, Landscape
from ..landscapes.landscape import taylor_coefficients
from .rules import Rule

__all__ = ["TAYLOR", "exact_increments", "moments", "truncated_increments"]

TAYLOR: tuple[float, ...] = tuple(taylor_coefficients(1.0, 3))
"""``1, 1, 1/2``: first, second and third order."""


def exact_increments(landscape: Landscape, rule: Rule, x: Tensor, rho: float) -> Tensor:
    """``h_m = -grad f_m(x + rho u_m(x))`` of the discrete rule, shape ``(..., M, d)``.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import exact_increments, find_rule
        >>> f = Quadratic([[2.0]], centres=[[0.0]])
        >>> exact_increments(f, find_rule("sam"), torch.ones(1, dtype=torch.float64), 0.5).tolist()
        [[-3.0]]
    """
    gradients = landscape.gradients(x)
    if not rule.perturbed:
        return -gradients
    return -landscape.gradients(x + rho * rule.perturbation(gradients))


def truncated_increments(
    landscape: Landscape, rule: Rule, x: Tensor, rho: float, coefficients: Sequence[float]
) -> Tensor:
    """``h_m = -sum_k c_k rho^k grad d_u^k f_m`` with ``u = u_m(x)`` frozen, shape ``(..., M, d)``.

    Args:
        landscape: the family of losses.
        rule: gives ``u``.
        x: points, see :mod:`eigensam.landscapes.landscape` for the layout.
        rho: perturbation radius.
        coefficients: ``c_0 .. c_m``; the leading part of ``TAYLOR`` for the true expansion.

    Source: the paper, Theorem 4.2 (``m = 2``); Compagnoni et al. 2023 (``m = 1``).
    """
    if not coefficients:
        raise InputError("no Taylor coefficient given; give 1 to 3 of them")
    gradients = landscape.gradients(x)
    if not rule.perturbed or len(coefficients) == 1:
        return -coefficients[0] * gradients
    scaled = [c * rho**k for k, c in enumerate(coefficients)]
    return -landscape.taylor_gradients(x, rule.perturbation(gradients), scaled)


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
