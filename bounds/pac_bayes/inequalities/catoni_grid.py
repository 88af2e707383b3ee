"""Catoni's bound (2007) at the best constant of a grid, which pays a union bound."""

from dataclasses import dataclass
from typing import final

from ...rounding.intervals import upper_end
from ..catoni_form import catoni_form
from ..inequality import Known
from ..rate_grid import RateGrid
from ..registry import PAC_BAYES

__all__ = ["CatoniGrid"]


@final
@PAC_BAYES.register("catoni-grid", order=7)
@dataclass(frozen=True)
class CatoniGrid(RateGrid):
    """The least of ``(1 - exp(-C r - (KL + ln(k/delta)) / n)) / (1 - e^-C)`` over ``k`` values of ``C``.

    Reference:
        Catoni 2007, theorem 1.2.6, at ``delta / k`` for each.

    Example:
        >>> from eigensam.bounds import GibbsSample
        >>> round(CatoniGrid().upper(GibbsSample(risk=0.02, kl=3.0, examples=1000), delta=0.05), 5)
        0.04486
    """

    title = "Catoni, grid of C"
    formula = "least over k values of C: (1 - exp(-Cr - (KL + ln(k/δ)) / n)) / (1 - e⁻ᶜ)"
    reference = "Catoni 2007, theorem 1.2.6, and a union bound"
    delta_spent = "δ/k at each point of the grid"
    free_parameter = "C, best of a grid that is fixed before"

    def _upper(self, known: Known) -> float:
        cost = known.budget(self.points) / known.examples
        constants = map(known.iv.real, self.rates())
        return min(upper_end(catoni_form(known.iv, c, c * known.risk + cost)) for c in constants)
