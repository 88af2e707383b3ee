"""The eigenvalue bound (the paper, Theorem 4.1) with every constant explicit (theory, section 6.1 to 6.4)."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from scipy.optimize import minimize_scalar

from ..landscapes import InputError
from .gaussian import PriorGrid
from .kl import kl_inverse

__all__ = ["Bound", "Curvature", "Kind", "Term", "eigenvalue_bound", "remainder"]

Kind = Literal["measured", "certificate", "estimate"]


@dataclass(frozen=True)
class Term:
    """One summand of a bound.

    Attributes:
        name: what it is.
        value: in units of the loss.
        kind: ``measured`` (computed from the whole sample), ``certificate`` (proved at confidence ``1 - delta``), or
            ``estimate`` (neither).
    """

    name: str
    value: float
    kind: Kind


@dataclass(frozen=True)
class Curvature:
    """What Theorem 4.1 needs to know of the loss surface at the trained point.

    Attributes:
        top_eigenvalue: ``lambda_1`` of the Hessian of the bounded training loss.
        fourth_derivative: ``K_4``, bound of the fourth derivative's operator norm; or None.
        hessian_lipschitz: ``K_3``, Lipschitz constant of the Hessian; or None. One of the two is needed.
        kind: ``certificate`` only if every given number is a proved upper bound, with what it spends in ``spent``.
        spent: part of ``delta`` that the proof of these numbers spends.
    """

    top_eigenvalue: float
    fourth_derivative: float | None = None
    hessian_lipschitz: float | None = None
    kind: Literal["certificate", "estimate"] = "estimate"
    spent: float = 0.0


@dataclass(frozen=True)
class Bound:
    """A bound on the risk of the randomised predictor ``Q = N(x, sigma^2 I)``, term by term.

    Attributes:
        terms: summands, in order; ``bound`` is their sum.
        bound: ``f_S(x) + d sigma^2 lambda_1 / 2 + R + B sqrt(...)``.
        bound_kl: the same statement before Pinsker's inequality, ``B kl^-1``; never larger.
        vacuous: whether ``bound``, the theorem's statement, is at least the loss's own upper bound ``B``.
            (``bound_kl`` approaches ``B`` from below and says little where ``bound`` is vacuous.)
        kind: the weakest kind among the terms.
        delta: the statement holds with probability at least ``1 - delta``.
        details: sigma, the prior chosen, KL and the other parts of the complexity term.
        assumptions: what must be true besides, in sentences.
    """

    terms: list[Term]
    bound: float
    bound_kl: float
    vacuous: bool
    kind: Kind
    delta: float
    details: dict[str, float]
    assumptions: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary."""
        return asdict(self)


def check_delta(delta: float) -> None:
    """Refuse a probability of failure outside (0, 1), or so small that its parts underflow."""
    if not 1e-100 < delta < 1:
        raise InputError(
            f"delta = {delta} does not lie in (0, 1) or is below 1e-100; give e.g. 0.05 for 95 % confidence"
        )


def check_sigma(sigma: float | None) -> None:
    """Refuse a standard deviation that is not positive or of no sensible size."""
    if sigma is not None and not 1e-12 <= sigma <= 1e6:
        raise InputError(f"sigma = {sigma} is not positive or not in [1e-12, 1e6]; leave it out for the best one")


def remainder(
    dim: int, sigma: float, fourth_derivative: float | None = None, hessian_lipschitz: float | None = None
) -> float:
    """Smallest available bound of ``|E f(x + e) - f(x) - sigma^2/2 tr H|``, ``e ~ N(0, sigma^2 I_d)``.

    - fourth derivative at most ``K_4``: ``(K_4/24) sigma^4 d (d+2)``, the odd cubic moment being zero;
    - Hessian ``K_3``-Lipschitz: ``(K_3/6) sigma^3 2^{3/2} Gamma((d+3)/2) / Gamma(d/2)``, the third moment of ``|e|``.

    Example:
        >>> remainder(2, 1.0, fourth_derivative=3.0)
        1.0
    """
    if min(fourth_derivative or 0.0, hessian_lipschitz or 0.0) < 0:
        raise InputError("bounds of derivatives are not negative; measure them again")
    options = []
    if fourth_derivative is not None:
        options.append(fourth_derivative / 24 * sigma**4 * dim * (dim + 2))
    if hessian_lipschitz is not None:
        moment = math.exp(1.5 * math.log(2) + math.lgamma((dim + 3) / 2) - math.lgamma(dim / 2))
        options.append(hessian_lipschitz / 6 * sigma**3 * moment)
    if not options:
        raise InputError("no bound on a higher derivative was given; give fourth_derivative or hessian_lipschitz")
    return min(options)


def eigenvalue_bound(
    empirical_loss: float,
    curvature: Curvature,
    *,
    dim: int,
    squared_distance: float,
    examples: int,
    delta: float = 0.05,
    loss_bound: float = 1.0,
    sigma: float | None = None,
    priors: PriorGrid | None = None,
    assumptions: Sequence[str] = (),
) -> Bound:
    """Theorem 4.1: with probability at least ``1 - delta`` over the sample, for all ``x`` and ``sigma`` at once,

    ``f_D(Q) <= f_S(x) + (d sigma^2 / 2) max(lambda_1, 0) + R + B sqrt((KL_j + ln(2 sqrt(n) / delta_j)) / (2 n))``.

    The first three terms bound ``f_S(Q)`` (Taylor); the last is Maurer's inequality with a union over the priors
    ``j``. ``bound_kl`` applies Maurer's inequality without Pinsker's relaxation.

    Args:
        empirical_loss: ``f_S(x)`` on the sample, in ``[0, B]``.
        curvature: lambda_1 and a higher-derivative constant, with their kind.
        dim: number of parameters ``d``.
        squared_distance: ``|x - x0|^2``, ``x0`` independent of the sample.
        examples: sample size ``n`` (Maurer's inequality needs at least 8).
        delta: probability of failure, in (0, 1); ``curvature.spent`` of it is taken for the curvature.
        loss_bound: ``B``.
        sigma: posterior standard deviation; default: the one that minimises the bound, which is allowed as the
            statement holds for all of them.
        priors: grid fixed before the sample was seen; default ``PriorGrid()``.
        assumptions: sentences to carry along.

    Raises:
        InputError: an argument out of range.

    Reference:
        The paper, Theorem 4.1; Maurer 2004 (constant ``2 sqrt(n)``); Foret et al. 2021.

    Example:
        >>> from eigensam.bounds import Curvature, eigenvalue_bound
        >>> flat = Curvature(top_eigenvalue=0.1, fourth_derivative=0.1)
        >>> result = eigenvalue_bound(0.05, flat, dim=20, squared_distance=1.0, examples=60_000)
        >>> [term.name for term in result.terms]
        ['empirical loss', 'curvature', 'remainder', 'complexity']
        >>> result.vacuous, result.bound_kl <= result.bound
        (False, True)
    """
    check_delta(delta)
    if examples < 8:
        raise InputError(f"n = {examples} examples are too few; Maurer's inequality needs at least 8")
    if not (loss_bound > 0 and 0 <= empirical_loss <= loss_bound):
        raise InputError(f"loss {empirical_loss} does not lie in [0, {loss_bound}]; use a bounded loss")
    if dim < 1 or not 0 <= squared_distance < math.inf:
        raise InputError(f"dim = {dim}, squared distance = {squared_distance}: need dim >= 1, a finite distance >= 0")
    constants = (
        curvature.top_eigenvalue,
        curvature.fourth_derivative or 0.0,
        curvature.hessian_lipschitz or 0.0,
    )
    if not all(math.isfinite(value) for value in constants) or min(constants[1:]) < 0:
        raise InputError(
            f"{curvature} holds a number that is not finite or a negative derivative bound; measure it again"
        )
    if not 0 <= curvature.spent < delta:
        raise InputError(f"the curvature spends {curvature.spent} of delta = {delta}; nothing is left, enlarge delta")
    if curvature.kind not in ("certificate", "estimate"):
        raise InputError(f"unknown kind '{curvature.kind}'; choose one of: certificate, estimate")
    check_sigma(sigma)
    priors = priors or PriorGrid()
    available = delta - curvature.spent

    def assemble(log_sigma: float) -> Bound:
        sigma = math.exp(log_sigma)
        j, kl = priors.best(dim, sigma**2, squared_distance, available)
        log_term = math.log(2 * math.sqrt(examples) / priors.confidence(j, available))
        budget = (kl + log_term) / examples
        terms = [
            Term("empirical loss", empirical_loss, "measured"),
            # tr H <= d lambda_1; a negative Ritz value may lie below lambda_1 and must not lower the bound
            Term("curvature", 0.5 * dim * sigma**2 * max(0.0, curvature.top_eigenvalue), curvature.kind),
            Term(
                "remainder",
                remainder(dim, sigma, curvature.fourth_derivative, curvature.hessian_lipschitz),
                curvature.kind,
            ),
            Term("complexity", loss_bound * math.sqrt(budget / 2), "certificate"),
        ]
        total = sum(term.value for term in terms)
        posterior_loss = sum(term.value for term in terms[:3])
        bound_kl = loss_bound * kl_inverse(min(1.0, max(0.0, posterior_loss / loss_bound)), budget)
        return Bound(
            terms,
            total,
            bound_kl,
            total >= loss_bound,
            curvature.kind,
            delta,
            {
                "sigma": sigma,
                "lambda_1": curvature.top_eigenvalue,
                "dim": dim,
                "examples": examples,
                "squared_distance": squared_distance,
                "prior_index": j,
                "prior_variance": priors.variance(j),
                "kl_nats": kl,
                "log_term": log_term,
                "loss_bound": loss_bound,
            },
            list(assumptions),
        )

    if sigma is not None:
        return assemble(math.log(sigma))
    # In log sigma the bound falls (KL), then rises (curvature, remainder); one minimum up to the grid's small steps.
    best = minimize_scalar(lambda t: assemble(t).bound, bounds=(math.log(1e-8), math.log(10.0)), method="bounded")
    return assemble(float(best.x))
