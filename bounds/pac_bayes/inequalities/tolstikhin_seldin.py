"""The relaxation of the relative entropy by Tolstikhin and Seldin (2013)."""

from dataclasses import dataclass
from typing import final

from ...rounding.intervals import upper_end
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["TolstikhinSeldin"]


@final
@PAC_BAYES.register("tolstikhin-seldin", order=4)
@dataclass(frozen=True)
class TolstikhinSeldin(PacBayesInequality):
    """``R <= r + sqrt(2 r eps) + 2 eps``, ``eps = (KL + ln(xi(n)/delta)) / n``.

    Reference:
        Tolstikhin & Seldin 2013, section 2; McAllester 2003.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(TolstikhinSeldin().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.05907
    """

    title = "Tolstikhin-Seldin"
    formula = "r + √(2rε) + 2ε, ε = (KL + ln(ξ(n)/δ)) / n"
    reference = "Tolstikhin and Seldin 2013, section 2"

    def _upper(self, known: Known) -> float:
        eps = known.kl_budget()
        return upper_end(known.risk + known.iv.sqrt(2 * known.risk * eps) + 2 * eps)
