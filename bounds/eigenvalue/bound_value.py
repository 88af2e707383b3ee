"""A form of Theorem 4.1 at one posterior and one prior, rounded outward, and the bound that is made of the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..concentration.kl import kl_inverse
from ..rounding.intervals import Intervals, upper_end
from .bound import Bound, Curvature, Term
from .form import Form
from .inputs import Inputs

__all__ = ["Value", "best_bound", "value_at"]


@dataclass(frozen=True)
class Value:
    """Terms, their sum, and the same by kl inverse.

    Attributes:
        form: which one.
        curvature: term of the second derivative.
        remainder: what Taylor's formula leaves out.
        complexity: of the posterior.
        total: sum of the three and the loss.
        total_kl: before Pinsker's inequality.
        details: posterior, prior, and parts of the complexity.
    """

    form: Form
    curvature: float
    remainder: float
    complexity: float
    total: float
    total_kl: float
    details: dict[str, float]


def value_at(
    iv: Intervals, given: Inputs, form: Form, parts: tuple[Any, Any, Any], k: int, posterior: dict[str, float]
) -> Value:
    """What intervals for the curvature's term, the remainder and the divergence (``parts``) give with prior ``k``."""
    curvature, rest, kl = parts
    b, n = iv.real(given.loss_bound), given.examples
    log_confidence = given.priors.intervals(iv, k, iv.real(given.delta) - iv.real(given.spent))[1]
    log_term = iv.log(2 * iv.sqrt(iv.real(n))) + log_confidence
    terms = upper_end(curvature), upper_end(rest), upper_end(b * iv.sqrt((kl + log_term) / (2 * n)))
    if math.inf in terms:
        total, total_kl = math.inf, given.loss_bound
    else:
        posterior_loss = iv.real(given.loss) + terms[0] + terms[1]
        total = upper_end(posterior_loss + terms[2])
        inverse = kl_inverse(min(1.0, upper_end(posterior_loss / b)), upper_end((kl + log_term) / n))
        total_kl = min(total, upper_end(b * inverse))
    details = {
        **posterior,
        "prior_index": k,
        "prior_variance": given.priors.variance(k),
        "kl_nats": upper_end(kl),
        "log_term": upper_end(log_term),
    }
    return Value(form, *terms, total, total_kl, details)


def best_bound(
    given: Inputs, curvature: Curvature, values: Sequence[Value], inverted: Sequence[Value], assumptions: Sequence[str]
) -> Bound:
    """The bound with the least sum of ``values``, and the least one by kl inverse of all."""
    linear = min(values, key=lambda value: value.total)
    best_kl = min([*values, *inverted], key=lambda value: value.total_kl)
    terms = [
        Term("empirical loss", given.loss, "measured"),
        Term("curvature", linear.curvature, curvature.kind),
        Term("remainder", linear.remainder, curvature.kind),
        Term("complexity", linear.complexity, "certificate"),
    ]
    return Bound(
        terms,
        linear.total,
        best_kl.total_kl,
        linear.total >= given.loss_bound,
        curvature.kind,
        given.delta,
        {
            **linear.details,
            **{f"{name}_of_bound_kl": value for name, value in best_kl.details.items()},
            "lambda_1": given.top_eigenvalue,
            "dim": given.dim,
            "examples": given.examples,
            "squared_distance": given.squared_distance,
            "loss_bound": given.loss_bound,
            **({} if given.trace is None else {"trace": given.trace}),
            **given.constants,
        },
        list(assumptions),
        str(linear.form),
    )
