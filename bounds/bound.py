"""What Theorem 4.1 takes and what it gives, each number with its kind."""

from dataclasses import asdict, dataclass, field
from typing import Literal

__all__ = ["Bound", "Curvature", "Kind", "Term"]

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
        bound_kl: the same statement before Pinsker's inequality, ``B kl^-1``, at the sigma and prior that are best for
            it (``sigma_of_bound_kl``, …); never larger than ``bound``.
        vacuous: whether ``bound``, the theorem's statement, is at least the loss's own upper bound ``B``.
            (``bound_kl`` approaches ``B`` from below and says little where ``bound`` is vacuous.)
        kind: the weakest kind among the terms; a ``certificate`` is rounded outward.
        delta: the statement holds with probability at least ``1 - delta``.
        details: sigma, the prior chosen, KL and the other parts of the complexity term; the same for ``bound_kl``.
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
