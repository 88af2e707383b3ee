"""What the numbers of a bound at a trained point say, in sentences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..eigenvalue.bound import Bound
from ..eigenvalue.repairs import Repairs
from ..gibbs.estimate import GibbsEstimate
from ..peers.worst_case import WorstCase
from .posterior_risk import LossAround

__all__ = [
    "HeldOut",
    "best_divergence",
    "explain",
    "explain_certificate",
    "explain_refuted",
    "explain_worst",
    "ratios",
    "uniform_loss",
]


def uniform_loss(p_min: float, classes: int) -> float:
    """Bounded cross-entropy of a predictor that gives every class the same probability.

    Example:
        >>> round(uniform_loss(1e-3, 10), 3)
        0.332
    """
    return math.log(p_min + (1 - p_min) / classes) / math.log(p_min)


@dataclass(frozen=True)
class HeldOut:
    """What held-out examples say of the network at ``x``.

    Attributes:
        examples: their number.
        errors: of the network at ``x``.
        upper: Clopper-Pearson's upper end of its probability of error.
        loss: bounded loss at ``x``.
        loss_around: its mean over draws of ``Q``.
        standard_error: of the difference of the two, over draws; None of a single one.
    """

    examples: int
    errors: int
    upper: float
    loss: float
    loss_around: float
    standard_error: float | None


def explain(
    bound: Bound, risk: GibbsEstimate, around: LossAround, repairs: Repairs | None, test: HeldOut, uniform: float
) -> list[str]:
    """Sentences.

    Args:
        bound: Theorem 4.1 in one form.
        risk: ``f_S(Q)`` at its sigma, of the bounded cross-entropy.
        around: estimates of ``f_S(Q) - f_S(x)``.
        repairs: what would make it 1; None where it is below.
        test: what the test set says.
        uniform: loss of a predictor that knows nothing.
    """
    return [
        *_verdict(bound, uniform),
        *_complexity(bound),
        *([] if repairs is None else _repairs(bound, repairs)),
        *_taylor(bound, risk, around),
        *_test(bound, test),
    ]


def explain_worst(cases: Sequence[WorstCase]) -> list[str]:
    """The worst case in a ball beside the Gaussian mean of perturbations as long: a sentence for each radius."""
    return [
        f"In the ball of radius {case.radius:.3g} an ascent finds a loss of {case.value:.4g} (the largest is at least "
        f"that; SAM's first order says {case.first_order:.4g}); Gaussian perturbations as long have a mean of "
        f"{case.gaussian_mean:.4g}: the theorem averages, SAM looks for the worst."
        for case in cases
    ]


def _verdict(bound: Bound, uniform: float) -> list[str]:
    largest = max(bound.terms, key=lambda term: term.value)
    share = largest.value / bound.bound if math.isfinite(bound.bound) else 1.0
    found = [
        f"The sum is {bound.bound:.4g}, of which the largest term, {largest.name}, is {100 * share:.0f} %.",
        f"A predictor that gives every class the same probability has a loss of {uniform:.3f} without any data: what "
        f"is above that is no information, though it may be below 1.",
    ]
    if bound.vacuous:
        found.insert(1, "It is vacuous: the loss itself is never above 1.")
    elif bound.bound_kl >= uniform:
        found.insert(1, "It is below 1, but no information.")
    else:
        found.insert(1, f"By kl inverse it is {bound.bound_kl:.4g}, which says more than no data do.")
    return found


def best_divergence(bound: Bound) -> float:
    """``(d/2) ln(1 + |x - x0|^2/(d sigma^2))``, the divergence from the isotropic prior of the best variance."""
    d, sigma, squared = (bound.details[name] for name in ("dim", "sigma", "squared_distance"))
    return d / 2 * math.log1p(squared / (d * sigma**2))


def ratios(bound: Bound, loss: float, increase: float) -> dict[str, float | None]:
    """What words say of the terms relative to each other; None where the denominator is not positive."""
    taylor, allowed = sum(term.value for term in bound.terms[:3]), bound.terms[1].value + bound.terms[2].value
    largest = max(term.value for term in bound.terms)
    return {
        "taylor_over_f_S_of_Q": taylor / (loss + increase) if loss + increase > 0 else None,
        "allowed": allowed,
        "allowed_over_increase": allowed / increase if increase > 0 else None,
        "largest_term_percent": 100 * largest / bound.bound if math.isfinite(bound.bound) else 100.0,
        "kl_for_complexity_1": 2 * bound.details["examples"] - bound.details["log_term"],
    }


def _complexity(bound: Bound) -> list[str]:
    found = bound.details
    n, kl, logarithm = int(found["examples"]), found["kl_nats"], found["log_term"]
    d, sigma, distance = int(found["dim"]), found["sigma"], math.sqrt(found["squared_distance"])
    return [
        f"The divergence of the posterior from the prior is {kl:.4g} nats. The complexity term sqrt((KL + "
        f"{logarithm:.3g})/(2n)) alone is below 1 only where KL is below 2n - {logarithm:.3g} = "
        f"{2 * n - logarithm:.4g} nats, with n = {n} examples.",
        f"It is that of d = {d} parameters which are known up to sigma = {sigma:.3g} and have moved by |x - x0| = "
        f"{distance:.3g}: with the best variance of the prior it would be (d/2) ln(1 + |x - x0|^2/(d sigma^2)) = "
        f"{best_divergence(bound):.4g} nats.",
    ]


def _repairs(bound: Bound, needed: Repairs) -> list[str]:
    found, ways = bound.details, []
    if needed.examples is not None:
        ways.append(f"n = {needed.examples:.3g} examples in place of {int(found['examples'])}")
    if needed.distance is not None:
        ways.append(f"|x - x0| = {needed.distance:.3g} in place of {math.sqrt(found['squared_distance']):.3g}")
    if needed.curvature is not None:
        ways.append(f"curvature and remainder {needed.curvature:.2g} times as large")
    if not ways:
        return ["No number of examples, distance or curvature alone would make the sum 1."]
    return [f"Each of these alone would make the sum 1, with the best sigma anew: {'; '.join(ways)}."]


def _taylor(bound: Bound, risk: GibbsEstimate, around: LossAround) -> list[str]:
    loss, curvature, remainder = (term.value for term in bound.terms[:3])
    increase, error = around.at(bound.details["sigma"]), around.error_at(bound.details["sigma"])
    spread = "" if error is None else f" +- {error:.2g}"
    pairs = "one pair of draws" if error is None else f"{len(around.increases)} pairs of draws, with its standard error"
    taylor, there, allowed = loss + curvature + remainder, loss + increase, curvature + remainder
    times = f", {taylor / there:.3g} times as much" if there > 0 else ""
    found = [
        f"Monte Carlo, at the same sigma: f_S(Q) = {there:.4g}{spread} (an estimate from {pairs}), and at most "
        f"{risk.upper:.4g} with probability 1 - {risk.delta:.3g} over {risk.draws} other draws. f_S(x) + curvature + "
        f"remainder is {taylor:.4g}{times}."
    ]
    if abs(increase) <= around.resolution:
        found.append(
            f"From x to Q the loss changes by less than rounding resolves, {around.resolution:.2g}; curvature and "
            f"remainder allow {allowed:.3g}."
        )
    elif increase > 0:
        found.append(
            f"From x to Q the loss rises by {increase:.3g}{spread}, for which curvature and remainder allow "
            f"{allowed:.3g}: {allowed / increase:.3g} times as much."
        )
    else:
        found.append(
            f"From x to Q the loss changes by {increase:.3g}{spread}: it does not rise; curvature and remainder allow "
            f"{allowed:.3g}."
        )
    return found


def explain_refuted(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Forms whose terms are less than what is measured where they are used."""
    return [
        f"The form '{row['form']}' allows a rise of {row['allowed']:.3g} at its sigma = {row['sigma']:.3g}, where "
        f"{row['measured']:.3g} is measured: its sum, {row['sum']:.3g}, is refuted."
        for row in rows
    ]


def explain_certificate(found: Bound, uniform: float) -> str:
    """What is proved of the run, if anything is: the bound with ``f_S(Q)`` by Monte Carlo."""
    worth = "which is no information" if found.bound_kl >= uniform else "which says more than no data do"
    proof = "the only certificate here" if found.kind == "certificate" else "an estimate here too, see the assumptions"
    return (
        f"Without derivatives, f_S(Q) by Monte Carlo gives {found.bound_kl:.4g} (kl inverse) at sigma = "
        f"{found.details['sigma']:.3g}: {proof}; a predictor without data has {uniform:.3f}, {worth}."
    )


def _test(bound: Bound, test: HeldOut) -> list[str]:
    return [
        f"The test set, {test.examples} examples: the network at x errs on {test.errors} "
        f"({100 * test.errors / test.examples:.2f} %); its probability of error is at most {test.upper:.4g} with "
        f"probability 1 - {bound.delta:.3g} (Clopper-Pearson), if nothing was chosen by looking at these examples.",
    ]
