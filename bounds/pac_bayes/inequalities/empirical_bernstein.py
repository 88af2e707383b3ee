"""Bernstein's inequality with the variance in the sample (Tolstikhin and Seldin 2013)."""

import math
from dataclasses import dataclass
from typing import Any, final

from ...rounding.intervals import upper_end
from ..inequality import Known
from ..rate_grid import RateGrid
from ..registry import PAC_BAYES

__all__ = ["EmpiricalBernstein"]


@final
@PAC_BAYES.register("empirical-bernstein", order=9)
@dataclass(frozen=True)
class EmpiricalBernstein(RateGrid):
    """Two inequalities at half of delta each, both at ``k`` values of ``a``, the best of which count.

    ``R <= r + V (e^a - 1 - a) / a + c / (n a)``, ``c = KL + ln(2k/delta)``, where ``V`` is the posterior's mean of the
    variance of a predictor's loss, and ``V <= (v + c / ((n-1) b)) / (1 - b/2)``, ``b = 2a / (a + sqrt(a^2 + 4))``.

    ``v`` must not be below ``E_Q V_n``, where ``V_n = n/(n-1) (mean l^2 - (mean l)^2)`` of each predictor. As the
    posterior's mean of ``(mean l)^2`` is at least the square of ``r``, and ``r`` at least ``m``, ``E_Q V_n <= n/(n-1)
    m (1 - m)``, and an upper value of ``m`` gives one of that: it rises up to ``m = 1/2``, and is 1/4 at most.

    The paper has ``(e - 2) a^2`` for ``e^a - 1 - a``, for ``a <= 1``, and a closed form above the least over its grids.

    Reference:
        Tolstikhin & Seldin 2013; Seldin et al. 2012; Maurer & Pontil 2009; Maurer 2006, theorem 13.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(EmpiricalBernstein().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.05491
    """

    title = "empirical Bernstein"
    formula = "r + V(eᵃ - 1 - a)/a + c/(na), V = (v + c/((n-1)b)) / (1 - b/2), c = KL + ln(2k/δ), least over k values"
    reference = "Tolstikhin and Seldin 2013"
    delta_spent = "δ/2 for the risk, δ/2 for the variance, δ/(2k) at each point of the grid"
    free_parameter = "a and b(a), best of a grid that is fixed before"
    least_examples = 2

    def _upper(self, known: Known) -> float:
        iv, n = known.iv, known.examples
        budget, rates = known.budget(2 * self.points), self.rates()
        m = known.second_moment
        sample_variance = (m * (1 - m) if upper_end(m) <= 0.5 else iv.real(0.25)) * n / (n - 1)

        def variance(a: float) -> Any:
            b = iv.real(2 * a / (a + math.sqrt(a * a + 4)))  # any number below 2 that depends on a alone
            return (sample_variance + budget / ((n - 1) * b)) / (1 - b / 2)

        least = iv.real(min(0.25, *(upper_end(variance(a)) for a in rates)))

        def risk(a: Any) -> float:
            return upper_end(known.risk + least * (iv.exp(a) - 1 - a) / a + budget / (n * a))

        return min(map(risk, map(iv.real, rates)))
