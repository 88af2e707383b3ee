"""McAllester's bound, as Maurer (2004) has it: Pinsker's inequality for the relative entropy."""

from dataclasses import dataclass
from typing import final

from ...rounding.intervals import upper_end
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["McAllester"]


@final
@PAC_BAYES.register("mcallester", order=5)
@dataclass(frozen=True)
class McAllester(PacBayesInequality):
    """``R <= r + sqrt((KL + ln(xi(n)/delta)) / (2n))``: the whole sum is divided by ``2n``.

    Smaller than McAllester's own, whose denominator is ``2 (n - 1)`` and whose logarithm is ``ln(n/delta)``.

    Reference:
        McAllester 1999, theorem 1; in this form Maurer 2004, section 1.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(McAllester().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.08961
    """

    title = "McAllester"
    formula = "r + √((KL + ln(ξ(n)/δ)) / (2n))"
    reference = "McAllester 1999, theorem 1; Maurer 2004"

    def _upper(self, known: Known) -> float:
        return upper_end(known.risk + known.iv.sqrt(known.kl_budget() / 2))
