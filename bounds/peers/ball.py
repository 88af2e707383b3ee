"""The statement of Foret et al. with each step done with care."""

import math
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from ..concentration.kl import kl_inverse
from ..eigenvalue.best_posterior import pinsker, seeger
from ..eigenvalue.bound import Bound, Kind, Term
from ..posteriors.isotropic_kl import gaussian_kl_interval
from ..posteriors.prior_grid import PriorGrid
from ..rounding.intervals import intervals, upper_end
from .perturbed_inputs import PerturbedInputs, check_kind, check_perturbed, sentences

__all__ = ["ball_bound"]

_DOUBTS = np.geomspace(0.05, 600.0, 80)  # -ln P(|e| > rho) to choose from, 12 % apart


@dataclass(frozen=True)
class _Value:
    """Both statements at one sigma and one prior, rounded outward."""

    outside: float
    complexity: float
    total: float
    total_kl: float
    details: dict[str, float]


def _sigmas(given: PerturbedInputs) -> NDArray[np.float64]:
    """Where Chernoff's bound of ``P(|e| > rho)`` is ``e^{-u}``, for each ``u`` of the list.

    ``y - ln(1 + y) = 2u/d`` by Newton's method, from a start beyond the root; ``sigma^2 = rho^2 / (d (1 + y))``.
    """
    c = 2 * _DOUBTS / given.dim
    y = 2 * np.sqrt(c) + 2 * c
    for _ in range(30):
        y = y - (y - np.log1p(y) - c) * (1 + y) / y
    return np.asarray(given.rho / np.sqrt(given.dim * (1 + y)))


def _evaluate(given: PerturbedInputs, priors: PriorGrid, sigma: float, k: int) -> _Value:
    iv = intervals()
    s, b, n, d = iv.real(sigma), iv.real(given.loss_bound), given.examples, given.dim
    t: Any = iv.real(given.rho) ** 2 / (d * s**2)
    probability = iv.exp(-(t - 1 - iv.log(t)) * d / 2) if t.a > 1 else iv.real(1)
    prior_variance, log_confidence = priors.intervals(iv, k, iv.real(given.delta))
    kl = gaussian_kl_interval(iv, d, s**2, prior_variance, iv.real(given.squared_norm))
    log_term = iv.log(2 * iv.sqrt(iv.real(n))) + log_confidence
    outside = upper_end(probability * (b - iv.real(given.loss)))
    complexity = upper_end(b * iv.sqrt((kl + log_term) / (2 * n)))
    posterior_loss = iv.real(given.loss) + outside
    total = upper_end(posterior_loss + complexity)
    inverse = kl_inverse(min(1.0, upper_end(posterior_loss / b)), upper_end((kl + log_term) / n))
    details = {
        "sigma": sigma,
        "prior_index": k,
        "prior_variance": priors.variance(k),
        "kl_nats": upper_end(kl),
        "log_term": upper_end(log_term),
        "outside_probability": upper_end(probability),
    }
    return _Value(outside, complexity, total, min(total, upper_end(b * inverse)), details)


def _best(given: PerturbedInputs, priors: PriorGrid) -> tuple[_Value, _Value]:
    """The sum at its best sigma, and the inverted form at its own."""
    sigmas, d = _sigmas(given), given.dim
    k = np.array([priors.best(d, float(s) ** 2, given.squared_norm) for s in sigmas])
    costs = priors.costs(k, d, 2 * np.log(sigmas) - priors.log_variances(k), given.squared_norm)
    c = (costs + math.log(2) + 0.5 * math.log(given.examples) - math.log(given.delta)) / given.examples
    loss = given.loss / given.loss_bound
    q = loss + np.exp(-_DOUBTS) * (1 - loss)
    values = []
    for statement in (pinsker, seeger):
        i = int(np.argmin(np.nan_to_num(statement(q, c)[0], nan=np.inf)))
        values.append(_evaluate(given, priors, float(sigmas[i]), int(k[i])))
    return values[0], min(values, key=lambda value: value.total_kl)


def ball_bound(
    perturbed_loss: SupportsFloat,
    *,
    rho: SupportsFloat,
    squared_norm: SupportsFloat,
    dim: int,
    examples: int,
    delta: SupportsFloat = 0.05,
    loss_bound: SupportsFloat = 1.0,
    kind: Kind = "estimate",
) -> Bound:
    """The largest loss in a ball bounds the risk: with probability ``1 - delta``, for all ``x``, ``rho``, ``sigma``,

    ``f_D(x) <= M + p (B - M) + B sqrt((KL_k + ln(2 sqrt(n)/delta_k)) / (2n))``, ``M = max_{|e| <= rho} f_S(x + e)``,

    if ``f_D(x) <= E f_D(x + e)``, ``e ~ N(0, sigma^2 I)``. Here ``p >= P(|e| > rho)`` is Chernoff's bound of the
    chi-square distribution, ``p = (t e^{1-t})^{d/2}`` with ``t = rho^2/(d sigma^2) > 1``, and the rest is Maurer's
    inequality with the union over priors of :class:`PriorGrid`, as in :func:`eigenvalue_bound`.

    It is :func:`foret_bound` with other constants: any ``rho`` may be chosen after the sample, as priors do not depend
    on it; ``sigma`` balances what lies outside the ball against complexity, where the paper has ``1/sqrt(n)`` of the
    mass outside; no factor 4.

    Args:
        perturbed_loss: ``M`` or an upper bound of it, in ``[0, B]``.
        rho: radius.
        squared_norm: ``|x - x0|^2``, ``x0`` independent of the sample.
        dim: number of parameters ``d``.
        examples: sample size ``n``, at least 8.
        delta: probability of failure.
        loss_bound: ``B``.
        kind: as in :func:`foret_bound`.

    Raises:
        InputError: an argument out of range.

    Reference:
        After Foret et al., ICLR 2021, Theorem 2; the constants are ours.

    Example:
        >>> result = ball_bound(0.05, rho=0.5, squared_norm=1.0, dim=20, examples=60_000)
        >>> [term.name for term in result.terms]
        ['perturbed loss', 'outside the ball', 'complexity']
        >>> round(result.bound, 4), round(result.bound_kl, 4)
        (0.0693, 0.0589)
    """
    check_kind(kind)
    given = check_perturbed(perturbed_loss, rho, squared_norm, dim, examples, delta, loss_bound)
    linear, inverted = _best(given, PriorGrid.for_dim(given.dim))
    return Bound(
        [
            Term("perturbed loss", given.loss, kind),
            Term("outside the ball", linear.outside, "certificate"),
            Term("complexity", linear.complexity, "certificate"),
        ],
        linear.total,
        inverted.total_kl,
        linear.total >= given.loss_bound,
        kind,
        given.delta,
        {
            **linear.details,
            **{f"{name}_of_bound_kl": value for name, value in inverted.details.items()},
            **given.details(),
        },
        sentences(given, linear.details["sigma"], kind),
        "largest loss in a ball",
    )
