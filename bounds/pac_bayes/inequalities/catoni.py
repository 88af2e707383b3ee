"""Catoni's bound (2007) at a constant that is fixed before the sample is seen."""

import math
from dataclasses import dataclass
from typing import Self, final

from ....ground.settings import setting
from ...rounding.intervals import upper_end
from ..catoni_form import LARGEST, LEAST, best_constant, catoni_form
from ..gibbs_sample import GibbsSample
from ..inequality import Known, PacBayesInequality
from ..registry import PAC_BAYES

__all__ = ["Catoni"]


@final
@PAC_BAYES.register("catoni", order=6)
@dataclass(frozen=True)
class Catoni(PacBayesInequality):
    """``R <= (1 - exp(-C r - (KL + ln(1/delta)) / n)) / (1 - e^-C)``.

    At the ``C`` that is best for what is found it would be ``kl^-1(r, (KL + ln(1/delta)) / n)``, below Maurer's; but
    which one that is, is known after the sample only. Guess it on the data of the prior with ``fixed_for``.

    Reference:
        Catoni 2007, theorem 1.2.6.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> guessed = Catoni.fixed_for(risk=0.03, kl=2.0, examples=1000, delta=0.05)
        >>> round(guessed.upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.03994
    """

    title = "Catoni, fixed C"
    formula = "(1 - exp(-Cr - (KL + ln(1/δ)) / n)) / (1 - e⁻ᶜ)"
    reference = "Catoni 2007, theorem 1.2.6"
    free_parameter = "C, fixed before the sample is seen"

    c: float = setting(
        1.0,
        "Catoni's constant.",
        holds=lambda v: LEAST <= v <= LARGEST,
        otherwise=f"must lie in [{LEAST}, {LARGEST}]",
    )

    @classmethod
    def _fixed_for(cls, guess: GibbsSample, delta: float) -> Self:
        return cls(best_constant(guess, (guess.kl + math.log(1 / delta)) / guess.examples))

    def _upper(self, known: Known) -> float:
        c = known.iv.real(self.c)
        return upper_end(catoni_form(known.iv, c, c * known.risk + known.budget() / known.examples))
