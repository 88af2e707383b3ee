"""What Theorem 4.1 takes and what it gives, each number with its kind."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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

    Example:
        >>> Term("curvature", 0.012345, "estimate")
        Term('curvature', 0.01235, estimate)
    """

    name: str
    value: float
    kind: Kind

    def __repr__(self) -> str:
        return f"Term({self.name!r}, {self.value:.4g}, {self.kind})"

    def to_dict(self) -> dict[str, object]:
        """Give a JSON-ready dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Curvature:
    """What Theorem 4.1 needs to know of the loss surface at the trained point.

    Attributes:
        top_eigenvalue: ``lambda_1`` of the Hessian of the bounded training loss.
        fourth_derivative: ``K_4``, bound of the fourth derivative's operator norm; or None.
        hessian_lipschitz: ``K_3``, Lipschitz constant of the Hessian; or None. One of the two, or the next, is needed.
        third_partial: ``C``, bound of every third partial derivative, as in the paper; or None. All three must hold
            everywhere, as the posterior has mass everywhere.
        fourth_moment: ``M_4 = E d_z^4 f(x)``, ``z ~ N(0, I)``, at the trained point; or None.
        trace: of the Hessian; or None.
        eigenvalues: at most ``v_i^T H v_i``, of orthonormal ``v_1, ..., v_k``, best the top eigenvectors; or None. They
            are taken off the trace's term, so that here the lower value is the safe one.
        kind: ``certificate`` only if every given number is a proved upper bound (of ``eigenvalues`` a lower one), with
            what it spends in ``spent``.
        spent: part of ``delta`` that the proof of these numbers spends.
    """

    top_eigenvalue: float
    fourth_derivative: float | None = None
    hessian_lipschitz: float | None = None
    third_partial: float | None = None
    fourth_moment: float | None = None
    trace: float | None = None
    eigenvalues: tuple[float, ...] | None = None
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
        form: which curvature term and remainder ``bound`` has, see :class:`Form`.
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
    form: str = ""

    def to_dict(self) -> dict[str, object]:
        """Give a JSON-ready dictionary."""
        return asdict(self)

    def __repr__(self) -> str:
        terms = " + ".join(f"{term.value:.4g} ({term.name}, {term.kind})" for term in self.terms)
        verdict = "vacuous" if self.vacuous else "not vacuous"
        return (
            f"Bound({self.bound:.4g} = {terms}; {self.bound_kl:.4g} by kl inverse; {self.kind}, {verdict}, "
            f"delta {self.delta:g})"
        )

    def plot(self) -> "Figure":
        """Draw every term and the sum on a log scale, as they differ by orders of magnitude."""
        from ...ground.pictures import LINES, new_figure  # here: who draws nothing does not load it

        figure = new_figure(1, width=5.6)
        (axes,) = figure.axes
        axes.plot([*(term.value for term in self.terms), self.bound], **{**LINES[0], "linestyle": "none"})
        limit = self.details.get("loss_bound", 1.0)
        axes.axhline(limit, color="black", linestyle=":", linewidth=1, label="vacuous from here")
        axes.set_yscale("log")
        labels = [f"{term.name}\n({term.kind})" for term in self.terms]
        axes.set_xticks(range(len(labels) + 1), [*labels, f"sum\n({self.kind})"], fontsize=8)
        axes.set_ylabel("value, in units of the loss")
        axes.set_title(rf"terms of the bound, $\delta$ = {self.delta:g}")
        axes.legend(frameon=False, fontsize=8)
        return figure
