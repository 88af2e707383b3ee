"""Where Theorem 4.1 is smallest: the posterior's sigma and the prior's number, in floats (theory, section 6).

Any sigma and prior give a valid bound, so nothing here needs outward rounding; it must only not miss the minimum. Let
``v = sigma^2``, ``q(v)`` the bound of the empirical loss and ``c_k(v) = (KL_k + ln(2 sqrt(n)/delta_k)) / n``. For each
prior both ``q + sqrt(c/2)`` and ``kl^-1(q, c)`` fall and then rise in ``v`` (proved in theory, section 6), turning at
 ``v <= s_k^2``. So each prior's minimum is found by bisection on the sign of a derivative, for all priors at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ..posteriors.prior_grid import PriorGrid

__all__ = ["Form", "Problem", "best_posterior", "pinsker", "seeger"]

Array = NDArray[np.float64]
Form = Callable[[Array, Array], tuple[Array, Array]]

_MOST = 2000  # priors looked at together
_LEAST = -2000.0  # of ln(v / s^2): sigma as a float ends before


def pinsker(q: Array, c: Array) -> tuple[Array, Array]:
    """``q + sqrt(c/2)``, and the ratio of its derivatives with respect to ``q`` and ``c``."""
    return q + np.sqrt(c / 2), 2 * np.sqrt(2 * c)


def seeger(q: Array, c: Array) -> tuple[Array, Array]:
    """``logit p`` of ``p = kl^-1(q, c)``, and the ratio of ``p``'s derivatives, ``logit p - logit q``.

    Newton's method for ``kl(q || expit(t)) = c``, which is convex in ``t``, from a start beyond the root.
    """
    inside = q < 1
    q = np.where(inside, q, 0.5)
    start = q + c + np.sqrt(c * (c + 2 * q))  # as kl(q || p) >= (p - q)^2 / (2p)
    t = np.minimum(logit(np.minimum(start, 1.0)), (c + math.log(2)) / (1 - q))
    entropy = np.where(q > 0, -q * np.log(np.where(q > 0, q, 1.0)), 0.0) - (1 - q) * np.log1p(-q)
    for _ in range(9):
        excess = q * np.logaddexp(0, -t) + (1 - q) * np.logaddexp(0, t) - entropy - c
        t = t - excess / np.maximum(expit(t) - q, 1e-300)
    return np.where(inside, t, np.inf), np.where(inside, t - logit(q), np.inf)


@dataclass(frozen=True)
class Problem:
    """What is minimised: ``q(v) = loss + slope v + (rate v)^power``, and what ``c_k(v)`` depends on.

    Logarithms, so that nothing overflows or vanishes; of 0 it is minus infinity.

    Attributes:
        loss: empirical loss over its upper bound ``B``.
        log_slope: of ``slope = d max(lambda_1, 0) / (2B)``.
        log_rate: of ``rate``, the remainder over ``B`` being ``(rate v)^power``.
        power: 2 with a fourth derivative, 3/2 with a Lipschitz Hessian.
        dim: ``d``.
        squared_distance: ``|x - x0|^2``.
        examples: ``n``.
        delta: what is left for the union over priors.
        priors: the grid.
    """

    loss: float
    log_slope: float
    log_rate: float
    power: float
    dim: int
    squared_distance: float
    examples: int
    delta: float
    priors: PriorGrid

    def value_and_slope(self, form: Form, k: NDArray[np.int64], log_ratio: Array) -> tuple[Array, Array]:
        """The form's value, and a number with the sign of its derivative with respect to ``v``."""
        log_v = self.priors.log_variances(k) + log_ratio
        linear, rest = np.exp(self.log_slope + log_v), np.exp(self.power * (self.log_rate + log_v))
        logarithm = math.log(2) + 0.5 * math.log(self.examples) - math.log(self.delta)
        c = (self.priors.costs(k, self.dim, log_ratio, self.squared_distance) + logarithm) / self.examples
        value, ratio = form(self.loss + linear + rest, c)
        falling = self.dim / (2 * self.examples) * -np.expm1(log_ratio)  # -v dc/dv
        return value, ratio * (linear + self.power * rest) - falling

    def last(self) -> int:
        """A ``j`` with ``q(s_j^2)`` as good as the loss itself: later priors have a larger ``c`` for nothing."""
        negligible = math.log(1e-14 / self.examples)
        log_scale = math.log(self.priors.scale)
        log_v = min(log_scale, negligible - self.log_slope, negligible / self.power - self.log_rate)
        return math.ceil(self.priors.density * (log_scale - log_v)) + 1


def best_posterior(problem: Problem, form: Form) -> tuple[float, float, int]:
    """The least value of a form over all sigma and priors: value, sigma, and the prior's number.

    First the coarse priors (each, up to two thousand, else evenly spaced ones and the first hundred), then all priors
    around the best.
    """

    def turning_points(k: NDArray[np.int64]) -> tuple[float, float, int]:
        low, high = np.full(k.shape, _LEAST), np.zeros(k.shape)
        for _ in range(50):
            middle = (low + high) / 2
            rising = problem.value_and_slope(form, k, middle)[1] > 0
            low, high = np.where(rising, low, middle), np.where(rising, middle, high)
        values = np.nan_to_num(problem.value_and_slope(form, k, high)[0], nan=np.inf)
        i = int(np.argmin(values))
        log_variance = float(problem.priors.log_variances(k)[i] + high[i])
        return float(values[i]), math.exp(max(log_variance / 2, -700.0)), int(k[i])

    m, last = problem.priors.refinement, problem.last()
    stride = max(1, last // _MOST)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is infinite is never the least
        best = turning_points(m * np.unique(np.r_[1 : min(100, last) + 1, 1 : last + 1 : stride]))
        if stride > 1:
            best = min(best, turning_points(_around(best[2], 2 * m * stride, m, m)))
        if m > 1:  # between the coarse priors, all of which cost more
            stride = max(1, m // 200)
            fine = [k for k in _around(best[2], 2 * m, stride, m) if k % m]
            between = turning_points(np.array(fine))
            best = min(best, between, turning_points(_around(between[2], 2 * stride, 1, m)))
    return best


def _around(k: int, reach: int, stride: int, least: int) -> NDArray[np.int64]:
    around = np.arange(k - reach, k + reach + 1, stride)
    return around[around >= least]
