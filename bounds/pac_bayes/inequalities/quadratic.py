"""The quadratic bound of Pérez-Ortiz et al. (2021)."""

from dataclasses import dataclass
from typing import final

from ...rounding.intervals import upper_end
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["Quadratic"]


@final
@PAC_BAYES.register("quadratic", order=2)
@dataclass(frozen=True)
class Quadratic(PacBayesInequality):
    """``R <= (sqrt(r + eps) + sqrt(eps))^2``, ``eps = (KL + ln(xi(n)/delta)) / (2n)``.

    Reference:
        Pérez-Ortiz, Rivasplata, Shawe-Taylor, Szepesvári 2021 (``f_quad``).

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(Quadratic().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.05164
    """

    title = "quadratic"
    formula = "(√(r + ε) + √ε)², ε = (KL + ln(ξ(n)/δ)) / (2n)"
    reference = "Pérez-Ortiz et al. 2021"

    def _upper(self, known: Known) -> float:
        iv, eps = known.iv, known.kl_budget() / 2
        return upper_end((iv.sqrt(known.risk + eps) + iv.sqrt(eps)) ** 2)
