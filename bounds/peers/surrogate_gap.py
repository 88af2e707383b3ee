"""A bound in the two quantities that GSAM makes small: the loss, and how far it rises nearby."""

from dataclasses import replace
from typing import SupportsFloat

from ...ground.errors import InputError
from ..eigenvalue.bound import Bound, Term
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number
from .ball import ball_bound

__all__ = ["surrogate_gap_bound"]


def surrogate_gap_bound(
    empirical_loss: SupportsFloat,
    surrogate_gap: SupportsFloat,
    *,
    rho: SupportsFloat,
    squared_norm: SupportsFloat,
    dim: int,
    examples: int,
    delta: SupportsFloat = 0.05,
    loss_bound: SupportsFloat = 1.0,
) -> Bound:
    """``f_D(x) <= f_S(x) + h + p (B - f_S(x) - h) + B sqrt((KL_k + ln(2 sqrt(n)/delta_k)) / (2n))``.

    ``h = max_{|e| <= rho} f_S(x + e) - f_S(x) >= 0`` is the surrogate gap of Zhuang et al., and ``f_S + h`` their
    perturbed loss ``f_p``; with it this is :func:`ball_bound`, whose constants it has. They argue for GSAM by a
    PAC-Bayes bound in these quantities; their own constants are not here, as we have not checked them against the
    paper: this is what can be proved of the same terms. It is always an estimate, as GSAM computes ``h`` from one
    gradient step, and an ascent finds a lower bound of it.

    Args:
        empirical_loss: ``f_S(x)``, in ``[0, B]``.
        surrogate_gap: ``h``, at least 0; ``f_S(x) + h <= B``.
        rho: radius.
        squared_norm: ``|x - x0|^2``, ``x0`` independent of the sample.
        dim: number of parameters ``d``.
        examples: sample size ``n``, at least 8.
        delta: probability of failure.
        loss_bound: ``B``.

    Raises:
        InputError: an argument out of range.

    Reference:
        Zhuang et al., Surrogate gap minimization improves sharpness-aware training, ICLR 2022 (the quantities); Foret
        et al., ICLR 2021 (the argument).

    Example:
        >>> result = surrogate_gap_bound(0.03, 0.02, rho=0.5, squared_norm=1.0, dim=20, examples=60_000)
        >>> [(term.name, term.kind) for term in result.terms][:2]
        [('empirical loss', 'measured'), ('surrogate gap', 'estimate')]
        >>> round(result.bound, 4)
        0.0693
    """
    loss, gap = real_number("loss", empirical_loss, "up"), real_number("surrogate gap", surrogate_gap, "up")
    scale = real_number("loss bound", loss_bound, "up")
    if not (loss >= 0 and gap >= 0):
        raise InputError(
            f"loss {empirical_loss}, surrogate gap {surrogate_gap}: neither is negative, as the ball holds the point "
            "itself; use a bounded loss and its largest value in the ball"
        )
    perturbed = upper_end(intervals().real(loss) + gap) if loss + gap < float("inf") else loss + gap
    if scale < perturbed <= scale * (1 + 1e-9):  # by rounding; no loss exceeds B
        perturbed = scale
    found = ball_bound(
        perturbed,
        rho=rho,
        squared_norm=squared_norm,
        dim=dim,
        examples=examples,
        delta=delta,
        loss_bound=loss_bound,
    )
    terms = [Term("empirical loss", loss, "measured"), Term("surrogate gap", gap, "estimate"), *found.terms[1:]]
    return replace(found, terms=terms, form="GSAM's terms, ours")
