"""Increments, drift and covariance as numbers, generated from the derivation (theory, section 2).

``dX = b(X) dt + sqrt(eta) Sigma(X)^{1/2} dW`` with ``b = E h + eta b_1`` and ``Sigma = Cov h'`` over minibatches. Of a
recursion's SDE ``eta`` is the effective rate everywhere here: ``float(sde.rate)`` times the learning rate.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ....ground.errors import InputError
from ....landscapes.landscape import Landscape
from ...derivation.averaging.recursion_parts import LAGGED, RecursionParts
from ...derivation.compiled_code import compile_ordered_code, compile_torch_code
from ...derivation.derived_sde import SDE
from ...rules.bindings import Values, bind
from ...rules.exact_steps import evaluate
from ...rules.recursion import Recursion
from ...rules.rule import Rule
from ...rules.sampling import Sampling

__all__ = [
    "Coefficients",
    "bound_coefficients",
    "bound_increments",
    "coefficients",
    "drift_and_covariance",
    "exact_increments",
    "mean_and_covariance",
    "schedule_values",
]


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
    return bound_increments(landscape, rule, x, bind(rule, landscape, rho, values))


def bound_increments(landscape: Landscape, rule: Rule, x: Tensor, bound: Mapping[str, float | Tensor]) -> Tensor:
    """As :func:`exact_increments`, with values that :func:`bind` has checked: in a course that depends on no number."""
    x = _points(landscape, x)
    result = -evaluate(rule.step, landscape, x, bound)
    return result.expand(*x.shape[:-2], landscape.size, landscape.dim)


class Coefficients(NamedTuple):
    """An SDE at points of a landscape, without any matrix of size ``d x d``.

    Attributes:
        increments: their mean is the drift at ``eta = 0``, shape ``(..., M, d)``.
        correction: ``b_1``, shape ``(..., d)``.
        covariance: increments whose covariance is ``Sigma``, shape ``(..., M, d)``.
    """

    increments: Tensor
    correction: Tensor
    covariance: Tensor

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}: {tuple(part.shape)}" for name, part in self._asdict().items())
        return f"Coefficients({parts}; {self.increments.dtype} on {self.increments.device})"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of nested lists."""
        return {name: part.tolist() for name, part in self._asdict().items()}

    def drift(self, eta: float) -> Tensor:
        """``b = E h + eta b_1``, shape ``(..., d)``; ``eta`` is the effective rate of a recursion."""
        return self.increments.mean(-2) + eta * self.correction

    def covariance_matrix(self) -> Tensor:
        """``Sigma``, shape ``(..., d, d)``."""
        return mean_and_covariance(self.covariance)[1]

    def columns(self) -> Tensor:
        """``c_m``, the covariance's increments less their mean, shape ``(..., M, d)``.

        With ``z_m`` standard normal, ``M^{-1/2} sum_m z_m c_m`` has exactly the covariance ``Sigma`` (theory,
        section 5).
        """
        return self.covariance - self.covariance.mean(-2, keepdim=True)


def coefficients(
    landscape: Landscape, sde: SDE, x: Tensor, rho: float, values: Values | None = None, *, time: float = 0.0
) -> Coefficients:
    """Evaluate an SDE by forward and backward passes; for networks with millions of parameters, too.

    Arguments and errors as of :func:`exact_increments`; schedules are read at ``time``. For an SDE of several blocks
    points have the blocks' components one after the other.

    Example:
        >>> import torch
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import coefficients, find_rule, truncate
        >>> f, sde = Quadratic([[2.0]], centres=[[0.0], [1.0]]), truncate(find_rule("usam"), "1/2", 2)
        >>> coefficients(f, sde, torch.ones(1, dtype=torch.float64), 0.5).covariance.tolist()
        [[-4.0], [0.0]]
    """
    if not isinstance(sde, SDE):
        raise InputError(f"found {type(sde).__name__}; expected an SDE: derive(rule, weak_order, rho_exponent)")
    bound = bind(sde.rule, landscape, rho, values)
    return bound_coefficients(landscape, sde, x, rho, {**bound, **schedule_values(sde, time)})


def schedule_values(sde: SDE, time: float) -> dict[str, float]:
    """The schedules of an SDE and their derivatives at a time, by the names that they have in its terms."""
    schedules = sde.rule.schedules if isinstance(sde.rule, Recursion) else {}
    found = {name: schedule(time) for name, schedule in schedules.items()}
    return found | {f"{name}'": schedule.derivative(time) for name, schedule in schedules.items()}


def bound_coefficients(
    landscape: Landscape, sde: SDE, x: Tensor, rho: float, bound: Mapping[str, float | Tensor]
) -> Coefficients:
    """As :func:`coefficients`, with values that :func:`bind` has checked: in a course that depends on no number."""
    dim = landscape.dim * len(sde.blocks)
    x = _points(landscape, x, dim)
    increments, correction, covariance = compile_torch_code(sde)(landscape, x, rho, bound)
    shape = (*x.shape[:-2], landscape.size, dim)
    correction = correction.expand(*x.shape[:-2], 1, dim).squeeze(-2)
    increments, covariance = increments.expand(shape), covariance.expand(shape)
    if not isinstance(sde.rule, Recursion):
        return Coefficients(increments, correction, covariance)
    sampling = sde.rule.sampling
    if sampling.family not in (None, landscape.size):
        raise InputError(
            f"recursion '{sde.rule.name}' has epochs of a family of {sampling.family} minibatches, and the landscape "
            f"has {landscape.size}; give the sampling that number"
        )
    if sde.ordered and sde.parts is not None:
        lagged = _kernel(sde.parts).to(increments) @ increments
        more = compile_ordered_code(sde)(landscape, x, rho, {**bound, LAGGED: lagged})
        correction = correction + more.expand(shape).mean(-2)
    if sde.covariance and (root := _noise_root(sampling)) is not None:
        covariance = root.to(covariance) @ (covariance - covariance.mean(-2, keepdim=True))
    return Coefficients(increments, correction, covariance)


@lru_cache(maxsize=64)
def _kernel(parts: RecursionParts) -> Tensor:
    return torch.tensor(parts.kernel, dtype=torch.float64)


@lru_cache(maxsize=64)
def _noise_root(sampling: Sampling) -> Tensor | None:
    """The symmetric root of the matrix that mixes minibatches' increments; None where the noise is a multiple."""
    matrix = sampling.noise_matrix()
    if matrix is None:
        return None
    eigenvalues, vectors = torch.linalg.eigh(torch.tensor(matrix, dtype=torch.float64))
    root: Tensor = vectors * eigenvalues.clamp(min=0).sqrt() @ vectors.mT
    return root


def drift_and_covariance(
    landscape: Landscape, sde: SDE, x: Tensor, rho: float, eta: float, values: Values | None = None
) -> tuple[Tensor, Tensor]:
    """``b``, shape ``(..., d)``, and ``Sigma``, shape ``(..., d, d)``: for small ``d``, see :func:`coefficients`.

    Args:
        landscape: the family of losses.
        sde: from :func:`derive` or :func:`truncate`.
        x: points, shape ``(d,)`` or ``(..., 1, d)``.
        rho: perturbation radius.
        eta: learning rate, which multiplies the correction ``b_1``; the effective rate of a recursion.
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
    found = coefficients(landscape, sde, x, rho, values)
    return found.drift(eta), found.covariance_matrix()


def mean_and_covariance(increments: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``b``, shape ``(..., d)``, and covariance ``Sigma``, shape ``(..., d, d)``, over the minibatch axis.

    Example:
        >>> import torch
        >>> from eigensam.sde import mean_and_covariance
        >>> mean, covariance = mean_and_covariance(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
        >>> mean.tolist(), covariance.tolist()
        ([2.0, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    """
    mean = increments.mean(-2)
    centred = increments - mean.unsqueeze(-2)
    return mean, centred.mT @ centred / increments.shape[-2]


def _points(landscape: Landscape, x: Tensor, dim: int | None = None) -> Tensor:
    dim = landscape.dim if dim is None else dim
    x = x[None] if x.ndim == 1 else x
    if x.shape[-2:] != (1, dim):
        raise InputError(
            f"points have shape {tuple(x.shape)}; expected ({dim},) or (..., 1, {dim}): a batch "
            "of points needs a minibatch axis, x[:, None]"
        )
    return x
