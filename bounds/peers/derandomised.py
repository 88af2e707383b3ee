"""From the risk of a randomised predictor to that of its mean, at a price that smoothness sets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...ground.errors import InputError
from ..eigenvalue.bound import Bound, Term
from ..rounding.intervals import intervals, upper_end
from ..rounding.real import real_number

__all__ = ["Smoothness", "derandomised_bound"]

ASSUMED = "f_D(x) <= E f_D(x + e)"
"""What sentences say that the price makes needless."""


@dataclass(frozen=True)
class Smoothness:
    """How fast gradients of the loss change, for every example of the distribution and at every point.

    Attributes:
        gradient_lipschitz: ``L``, Lipschitz constant of ``x -> grad l(x, z)``; or None. One of the two is needed.
        negative_trace: ``tau >= 0`` with ``tr grad^2 l(x, z) >= -tau``; or None. Never larger than ``d L``.
        kind: ``certificate`` only if both numbers are proved; what is measured at points is an estimate.
        reason: a sentence that says what they follow from.

    Raises:
        InputError: no number, or one that is negative or not finite; an unknown kind.
    """

    gradient_lipschitz: float | None = None
    negative_trace: float | None = None
    kind: Literal["certificate", "estimate"] = "estimate"
    reason: str = ""

    def __post_init__(self) -> None:
        numbers = [value for value in (self.gradient_lipschitz, self.negative_trace) if value is not None]
        if not numbers:
            raise InputError("smoothness without a number; give gradient_lipschitz or negative_trace")
        if not all(0 <= real_number("smoothness", value, "up") < math.inf for value in numbers):
            raise InputError(f"smoothness {numbers}: need finite constants of at least 0")
        if self.kind not in ("certificate", "estimate"):
            raise InputError(f"unknown kind '{self.kind}'; choose one of: certificate, estimate")


def derandomised_bound(bound: Bound, smoothness: Smoothness, *, assumptions: Sequence[str] = ()) -> Bound:
    """``f_D(x) <= f_D(Q) + tau sigma^2 / 2 <= f_D(Q) + d L sigma^2 / 2``, ``Q = N(x, sigma^2 I)``, added to a bound.

    It replaces the assumption ``f_D(x) <= E f_D(x + e)``, which a bound of ``f_D(Q)`` needs to speak of the point.
    Proof. What holds for every example's loss holds for its mean ``f_D``. ``f_D(y) + tau |y - x|^2 / (2d)`` is
    subharmonic, so its mean over each sphere around ``x`` is at least its value at ``x``; and ``E |e|^2 = d sigma^2``.
    With ``L`` alone, where second derivatives need not exist: ``f_D(x + e) >= f_D(x) + <grad f_D(x), e> - L |e|^2/2``;
    take the mean. Both are equations for ``f = -L |x|^2 / 2``.

    The price holds for every sample and spends no delta. It is at the sigma of the bound; ``bound_kl`` pays at its own.

    Args:
        bound: on the risk of ``Q``, with ``sigma``, ``sigma_of_bound_kl``, ``dim`` and ``loss_bound`` in its details.
        smoothness: in units of the same loss.
        assumptions: sentences to add.

    Raises:
        InputError: a bound without a sigma, or one that is derandomised already.

    Reference:
        The idea of paying for the mean by smoothness: Lemire Paquin, Chaib-draa and Giguere, Smoothness-based
        derandomization of PAC-Bayes bounds, arXiv 2606.19105. They pay by the Rademacher complexity of the Jensen gaps
        ``l(x, z) - E l(x + e, z)``; this is the elementary form, which bounds each gap.

    Example:
        >>> from eigensam.bounds import Curvature, eigenvalue_bound
        >>> flat = Curvature(top_eigenvalue=0.1, fourth_derivative=0.1)
        >>> result = eigenvalue_bound(0.05, flat, dim=20, squared_distance=1.0, examples=60_000)
        >>> smooth = Smoothness(negative_trace=2.0, kind="certificate")
        >>> point = derandomised_bound(result, smooth)
        >>> point.terms[-1].name, point.bound > result.bound
        ('derandomisation', True)
    """
    if any(term.name == "derandomisation" for term in bound.terms):
        raise InputError("the bound is derandomised already; give the one of the randomised predictor")
    details = bound.details
    if not all(name in details for name in ("sigma", "sigma_of_bound_kl", "dim", "loss_bound")):
        raise InputError("the bound has no sigma in its details, so it is not one of a Gaussian posterior")
    if "kappa" in details:
        raise InputError("the bound's posterior has another sigma along eigenvectors; give one of a single sigma")
    iv = intervals()
    slopes = []
    if smoothness.negative_trace is not None:
        slopes.append(real_number("negative trace", smoothness.negative_trace, "up"))
    if smoothness.gradient_lipschitz is not None:
        constant = iv.real(real_number("Lipschitz constant", smoothness.gradient_lipschitz, "up"))
        slopes.append(upper_end(constant * int(details["dim"])))
    slope = iv.real(min(slopes))

    def price(sigma: float) -> float:
        return upper_end(slope * iv.real(sigma) ** 2 / 2)

    paid = price(details["sigma"])
    total = upper_end(iv.real(bound.bound) + paid) if bound.bound < math.inf else math.inf
    total_kl = upper_end(iv.real(bound.bound_kl) + price(details["sigma_of_bound_kl"]))
    proved = bound.kind == smoothness.kind == "certificate"
    return replace(
        bound,
        terms=[*bound.terms, Term("derandomisation", paid, smoothness.kind)],
        bound=total,
        bound_kl=min(total, total_kl, details["loss_bound"]),
        vacuous=total >= details["loss_bound"],
        kind="certificate" if proved else "estimate",
        details={**details, "negative_trace_bound": float(min(slopes)), "randomised_bound": bound.bound},
        assumptions=[
            *(sentence for sentence in bound.assumptions if ASSUMED not in sentence),
            *([smoothness.reason] if smoothness.reason else []),
            *assumptions,
        ],
    )
