"""The linear bound of Alquier et al. (2016), with Hoeffding's lemma."""

import math
from dataclasses import dataclass
from typing import Self, final

from ....ground.settings import setting
from ...rounding.intervals import upper_end
from ..gibbs_sample import GibbsSample
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["Alquier"]

_LEAST, _LARGEST = 1e-6, 10.0


@final
@PAC_BAYES.register("alquier", order=8)
@dataclass(frozen=True)
class Alquier(PacBayesInequality):
    """``R <= r + (KL + ln(1/delta)) / (s n) + s / 8``; the paper's ``lambda`` is ``s n``.

    Reference:
        Alquier, Ridgway, Chopin 2016, theorem 4.1, with Hoeffding's lemma; Alquier 2024, theorem 2.1.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> guessed = Alquier.fixed_for(risk=0.03, kl=2.0, examples=1000, delta=0.05)
        >>> round(guessed.upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.07498
    """

    title = "Alquier"
    formula = "r + (KL + ln(1/δ)) / (sn) + s/8"
    reference = "Alquier et al. 2016, theorem 4.1"
    free_parameter = "s = λ/n, fixed before the sample is seen"

    s: float = setting(
        0.2,
        "Weight of the risk against the divergence, per example.",
        holds=lambda v: _LEAST <= v <= _LARGEST,
        otherwise=f"must lie in [{_LEAST}, {_LARGEST}]",
    )

    @classmethod
    def _fixed_for(cls, guess: GibbsSample, delta: float) -> Self:
        best = math.sqrt(8 * (guess.kl + math.log(1 / delta)) / guess.examples)
        return cls(min(max(best, _LEAST), _LARGEST))

    def _upper(self, known: Known) -> float:
        s = known.iv.real(self.s)
        return upper_end(known.risk + known.budget() / (s * known.examples) + s / 8)
