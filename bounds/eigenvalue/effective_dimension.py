"""Theorem 4.1 with a posterior that is narrow along the top eigenvectors (theory, section 6, item 5).

``Q = N(x, V diag(sigma_i^2) V^T + v (I - V V^T))``, ``sigma_i^2 = 1/(1/v + kappa max(theta_i, 0))``, ``theta_i`` the
Rayleigh quotients of the rows of ``V``. The trace of ``H`` times this covariance is
``v tr H - sum_i (v - sigma_i^2) theta_i``, exactly, even where the rows are no eigenvectors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ..rounding.intervals import Intervals, intervals, upper_end
from .best_posterior import Form as Statement
from .bound_value import Value, value_at
from .form import Form
from .inputs import Inputs
from .remainders import REMAINDERS

__all__ = ["best_spectral_value"]

Array = NDArray[np.float64]

_KAPPAS = 1e-1, 1e2  # starts, in units of 1 / (v theta_1); ours
_RANGE = 300.0  # of logarithms: squares of what they belong to are floats


@dataclass(frozen=True)
class _Moments:
    """Of a posterior: ``tr S``, ``tr S^2`` and ``tr H S`` of its covariance ``S``, intervals or floats."""

    first: Any
    second: Any
    loss: Any


def _positive(given: Inputs) -> list[float]:
    """Those that the posterior can be narrow along."""
    return [theta for theta in given.eigenvalues if theta > 0]


def _trace(given: Inputs) -> float:
    """Of the Hessian, as the trace's form has it."""
    assert given.trace is not None
    return min(max(0.0, given.trace), math.nextafter(given.dim * max(0.0, given.top_eigenvalue), math.inf))


def _moments(given: Inputs, v: Any, variances: list[Any]) -> _Moments:
    rest = given.dim - len(variances)
    loss = v * _trace(given)
    for theta, variance in zip(_positive(given), variances, strict=True):
        loss = loss - (v - variance) * theta
    return _Moments(rest * v + sum(variances), rest * v**2 + sum(each**2 for each in variances), loss)


def _remainder(iv: Intervals, given: Inputs, form: Form, v: Any, moments: _Moments) -> Any:
    """``K_4/24 E|e|^4`` exactly; cubic forms by the smaller of two upper ends of their moments.

    ``E|e|^3 <= (E|e|^2 E|e|^4)^(1/2)``; and as no variance exceeds ``v``, a convex function has at most the mean that
    it has for ``N(0, v I)`` (add independent noise, and use Jensen's inequality).
    """
    constant = given.constants[form.remainder]
    fourth = moments.first**2 + 2 * moments.second
    if form.remainder == "K_4":
        return constant * fourth / 24
    isotropic = given.remainder(iv, iv.sqrt(v), form)
    third = constant * iv.sqrt(moments.first * fourth) / 6  # of E|e|^3
    if form.remainder == "C":  # (sum |e_i|)^3 <= d^(3/2) |e|^3
        third = third * iv.sqrt(iv.real(given.dim)) ** 3
    return min(isotropic, third, key=upper_end)


def _evaluate(given: Inputs, form: Form, v: float, kappa: float, k: int) -> Value:
    iv = intervals()
    variance = iv.real(v)
    variances = [1 / (1 / variance + iv.real(kappa) * theta) for theta in _positive(given)]
    moments = _moments(given, variance, variances)
    prior, rest = given.priors.interval(iv, k), given.dim - len(variances)
    logarithms = rest * iv.log(variance / prior) + sum((iv.log(each / prior) for each in variances), iv.real(0))
    kl = (moments.first / prior - given.dim - logarithms + iv.real(given.squared_distance) / prior) / 2
    curvature = max(iv.real(0), moments.loss / 2, key=upper_end)
    dimension = sum((1 - each / variance for each in variances), iv.real(0))
    posterior = {
        "sigma": math.sqrt(v),
        "variance": v,
        "kappa": kappa,
        "effective_dimension": upper_end(dimension),
        "sigma_along_v_1": math.sqrt(upper_end(min(variances, key=upper_end))) if variances else math.sqrt(v),
    }
    parts = curvature, _remainder(iv, given, form, variance, moments), kl
    return value_at(iv, given, form, parts, k, posterior)


def _objective(given: Inputs, form: Form, statement: Statement) -> Callable[[float, float, int | None], float]:
    """The bound as a float, a function of ``ln v``, ``ln kappa`` and the prior; None stands for its best variance."""
    theta, iv, b = np.array(_positive(given)), intervals(), given.loss_bound
    constant = given.constants[form.remainder]
    isotropic = upper_end(given.remainder(iv, iv.real(1), form))
    logarithm = math.log(2) + 0.5 * math.log(given.examples) - math.log(given.delta - given.spent)

    def value(log_v: float, log_kappa: float, k: int | None) -> float:
        if max(abs(log_v), abs(log_kappa)) > _RANGE:
            return math.inf
        v = math.exp(log_v)
        variances = v / (1 + v * math.exp(log_kappa) * theta)
        rest = given.dim - len(theta)
        first, second = rest * v + variances.sum(), rest * v * v + (variances**2).sum()
        curvature = max(0.0, v * _trace(given) - float((v - variances) @ theta)) / 2
        if form.remainder == "K_4":
            remainder = constant * (first**2 + 2 * second) / 24
        else:
            scale = given.dim**1.5 if form.remainder == "C" else 1.0
            third = constant * scale * math.sqrt(first * (first**2 + 2 * second)) / 6
            remainder = min(isotropic * v ** (REMAINDERS[form.remainder].power / 2), third)
        moved = first + given.squared_distance
        if k is None:
            log_prior, share = math.log(moved / given.dim), 0.0
        else:
            log_prior = float(given.priors.log_variances(np.array([k]))[0])
            share = -math.log(given.priors.confidence(k, 1.0))
        logarithms = float(np.log(variances).sum()) + rest * log_v - given.dim * log_prior
        kl = (moved * math.exp(-log_prior) - given.dim - logarithms) / 2
        c = np.array([(max(kl, 0.0) + logarithm + share) / given.examples])
        return float(statement(np.array([(given.loss + curvature + remainder) / b]), c)[0][0])

    return value


def _minimised(value: Callable[[float, float, int | None], float], start: tuple[float, float], k: int | None) -> Any:
    simplex: Any = np.array([start, (start[0] + 1.0, start[1]), (start[0], start[1] + 2.0)])
    options: Any = {"xatol": 1e-5, "fatol": 1e-10, "maxiter": 400, "initial_simplex": simplex}

    def of_vector(x: Any) -> float:
        return value(float(x[0]), float(x[1]), k)

    return minimize(of_vector, np.array(start), method="Nelder-Mead", options=options)


def best_spectral_value(given: Inputs, form: Form, statement: Statement, sigma: float, k: int) -> Value:
    """The smallest value over ``v``, ``kappa`` and the prior; never above that at the isotropic sigma and its prior.

    Args:
        given: with eigenvalues and a trace.
        form: an ``effective dimension``.
        statement: what is minimised.
        sigma: best one of the trace's form.
        k: its prior.
    """
    isotropic = _evaluate(given, form, math.nextafter(sigma, 0.0) ** 2, 0.0, k)
    theta = _positive(given)
    if not theta:
        return isotropic
    value, log_v = _objective(given, form, statement), 2 * math.log(sigma)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        unit = -log_v - math.log(max(theta))
        free = min(
            (_minimised(value, (log_v, unit + math.log(kappa)), None) for kappa in _KAPPAS), key=lambda found: found.fun
        )
        found = [isotropic]
        for prior in {_nearest_prior(given, *free.x), k}:
            snapped = _minimised(value, tuple(free.x), prior)
            if np.isfinite(snapped.x).all() and max(map(abs, snapped.x)) < _RANGE:
                found.append(_evaluate(given, form, math.exp(snapped.x[0]), math.exp(snapped.x[1]), prior))
    name = "total" if statement.__name__ == "pinsker" else "total_kl"
    return min(found, key=lambda each: getattr(each, name))


def _nearest_prior(given: Inputs, log_v: float, log_kappa: float) -> int:
    """On the grid, of the best variance; a coarse one if that is at most half a nat from it."""
    v, theta = math.exp(log_v), np.array(_positive(given))
    first = (given.dim - len(theta)) * v + float((v / (1 + v * math.exp(log_kappa) * theta)).sum())
    ideal = math.log((first + given.squared_distance) / given.dim)
    m = given.priors.refinement
    fine = max(m, round(given.priors.density * m * (math.log(given.priors.scale) - ideal)))
    coarse = max(m, m * round(fine / m))
    gap = given.dim * (float(given.priors.log_variances(np.array([coarse]))[0]) - ideal) ** 2 / 4
    return coarse if gap < 0.5 else fine
