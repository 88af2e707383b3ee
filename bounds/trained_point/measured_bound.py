"""Theorem 4.1 at a trained point with all that was measured beside it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..eigenvalue.bound import Bound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MeasuredBound"]


@dataclass(frozen=True, repr=False)
class MeasuredBound(Bound):
    """The bound that the run is given, its other forms, what the loss really does, and what all that says.

    Attributes:
        forms: every form, each at its own best sigma; see :func:`theorem_forms` and :func:`monte_carlo_bound`.
        others: bounds of other papers for the same point.
        for_the_point: the bound and the one by Monte Carlo, of the network itself, where smoothness is proved.
        measured: JSON-ready: curvature, losses around the point, ``f_S(Q)``, worst cases, the test set, repairs.
        over_sigma: the terms of the bound's own form at other sigma, JSON-ready rows.
        along: the bound after earlier epochs of the training, JSON-ready rows.
        words: what the numbers say, in sentences.
    """

    forms: list[Bound] = field(default_factory=list)
    others: list[Bound] = field(default_factory=list)
    for_the_point: list[Bound] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    over_sigma: list[dict[str, float]] = field(default_factory=list)
    along: list[dict[str, Any]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *(f"- {sentence}" for sentence in self.words)])

    def plot(self) -> "Figure":
        """Terms over sigma and what Monte Carlo finds, every form's sum, the terms along training if they are known."""
        from .terms_picture import draw_terms  # here: who draws nothing needs no matplotlib

        return draw_terms(self.to_dict())
