"""Maurer (2004): the relative entropy of empirical and true Gibbs risk."""

from dataclasses import dataclass
from typing import final

from ...concentration.kl import kl_inverse
from ...rounding.intervals import upper_end
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["Maurer"]


@final
@PAC_BAYES.register("maurer", order=1)
@dataclass(frozen=True)
class Maurer(PacBayesInequality):
    """``R <= sup {p : kl(r || p) <= (KL + ln(xi(n)/delta)) / n}``.

    ``xi(n)``, which is at most ``2 sqrt(n)``, is computed exactly, which saves up to 0.47 nats.

    Reference:
        Maurer 2004, theorem 5; Seeger 2002, theorem 1, with ``n + 1`` for ``xi(n)``.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(Maurer().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.046
    """

    title = "Maurer"
    formula = "kl⁻¹(r, (KL + ln(ξ(n)/δ)) / n)"
    reference = "Maurer 2004, theorem 5; Seeger 2002, theorem 1"

    def _upper(self, known: Known) -> float:
        return kl_inverse(upper_end(known.risk), upper_end(known.kl_budget()))
