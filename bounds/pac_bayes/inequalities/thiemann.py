"""The lambda-bound of Thiemann et al. (2017)."""

import math
from dataclasses import dataclass
from typing import final

from ...rounding.intervals import upper_end
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["Thiemann"]


@final
@PAC_BAYES.register("lambda", order=3)
@dataclass(frozen=True)
class Thiemann(PacBayesInequality):
    """``R <= r / (1 - lambda/2) + (KL + ln(xi(n)/delta)) / (n lambda (1 - lambda/2))`` for all ``0 < lambda < 2``.

    All at once, so that the best ``lambda = 2 / (sqrt(r/eps + 1) + 1)`` is taken, ``eps = (KL + ln(xi(n)/delta)) /
    (2n)``. The bound is then the quadratic one; its use is that it is linear in ``r`` and ``KL``, to train with.

    Reference:
        Thiemann, Igel, Wintenberger, Seldin 2017, theorem 3.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(Thiemann().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.05164
    """

    title = "λ-bound"
    formula = "r / (1 - λ/2) + (KL + ln(ξ(n)/δ)) / (nλ(1 - λ/2))"
    reference = "Thiemann et al. 2017, theorem 3"
    free_parameter = "λ in (0, 2), best one: holds for all at once"

    def _upper(self, known: Known) -> float:
        cost = known.kl_budget()
        ratio = 2 * upper_end(known.risk) / upper_end(cost)
        rate = known.iv.real(2 / (math.sqrt(ratio + 1) + 1))  # nearly the best one: the bound holds at each
        return upper_end((known.risk + cost / rate) / (1 - rate / 2))
