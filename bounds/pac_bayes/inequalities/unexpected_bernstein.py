"""The unexpected Bernstein inequality (Mhammedi, Grünwald, Guedj 2019)."""

from dataclasses import dataclass
from typing import final

from ...rounding.intervals import upper_end
from ..catoni_form import catoni_form
from ..inequality import Known
from ..rate_grid import RateGrid
from ..registry import PAC_BAYES

__all__ = ["UnexpectedBernstein"]


@final
@PAC_BAYES.register("unexpected-bernstein", order=10)
@dataclass(frozen=True)
class UnexpectedBernstein(RateGrid):
    """The least of ``(1 - exp(-eta r - (C - eta) m - (KL + ln(k/delta)) / n)) / eta`` over ``k`` of ``eta = 1 - e^-C``.

    ``m`` is the posterior's mean squared loss. The paper's ``r + (C - eta) m / eta + (KL + ln(k/delta)) / (eta n)``
    follows from ``1 - e^-x <= x`` and is larger; its grid is ``1/2, 1/4, ...``. For a loss of 0 or 1 this is Catoni's
    bound on the same grid, and where the loss is often between, smaller.

    Reference:
        Mhammedi, Grünwald, Guedj 2019, lemma 13; not their second posterior, fitted off the sample.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> smooth = GibbsSample(risk=0.02, kl=3.0, examples=1000, second_moment=0.005)
        >>> round(UnexpectedBernstein().upper(smooth, delta=0.05), 5)
        0.03549
    """

    title = "unexpected Bernstein"
    formula = "least over k values of η = 1 - e⁻ᶜ: (1 - exp(-ηr - (C - η)m - (KL + ln(k/δ)) / n)) / η"
    reference = "Mhammedi et al. 2019, lemma 13"
    delta_spent = "δ/k at each point of the grid"
    free_parameter = "C, best of a grid that is fixed before"

    def _upper(self, known: Known) -> float:
        iv, cost = known.iv, known.budget(self.points) / known.examples

        def at(c: float) -> float:
            constant = iv.real(c)
            eta = 1 - iv.exp(-constant)
            exponent = eta * known.risk + (constant - eta) * known.second_moment + cost
            return upper_end(catoni_form(iv, constant, exponent))

        return min(map(at, self.rates()))
