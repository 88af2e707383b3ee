"""A certificate: what it says, beside what it has to beat."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .ledger import Ledger

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Certificate", "Statement", "draw_certificates"]


@dataclass(frozen=True)
class Statement:
    """What is proved of one posterior.

    Attributes:
        posterior: in words.
        certificate: upper value of its risk on new data.
        kl: divergence from the prior in nats, rounded up.
        risk: mean empirical risk of the draws, on the examples of the bound.
        risk_upper: what the empirical Gibbs risk is at most, at the Monte-Carlo term's part of delta.
        test: Gibbs risk on the test set, an estimate that played no part.
    """

    posterior: str
    certificate: float
    kl: float
    risk: float
    risk_upper: float
    test: float


@dataclass(frozen=True)
class Certificate:
    """With probability at least ``1 - delta`` the risk of the randomised network is at most ``certificate``.

    Attributes:
        certificate: the least of the two statements, which hold together.
        kind: ``certificate``.
        risk: empirical Gibbs risk of its posterior.
        delta: probability of failure.
        vacuous: whether it is no better than what needs no data: guessing a class, or the uniform prediction.
        trivial_risk: that risk.
        loss: whose risk it is.
        at_prior: the prior as its own posterior.
        optimised: the posterior that was trained on the kept examples; None if none was.
        clopper_pearson: upper value of the error rate of the network at the prior's mean, not randomised, on the same
            examples: a statement of its own, at this certificate's share of ``delta`` (all of it, but for other looks
            and fractions). None for a loss that is not 0 or 1.
        error_at_prior: error rate of that network on these examples, near ties counted as errors.
        test_error: of that network on the test set: an estimate.
        examples: of the bound, of the choices, of the prior.
        frozen: what was fixed before the examples were read.
        ledger: what each statement spends.
        assumptions: what must be true besides, in sentences.
    """

    certificate: float
    risk: float
    delta: float
    vacuous: bool
    trivial_risk: float
    loss: str
    at_prior: Statement
    optimised: Statement | None
    clopper_pearson: float | None
    error_at_prior: float
    test_error: float
    examples: dict[str, int]
    frozen: dict[str, Any]
    ledger: Ledger
    assumptions: list[str] = field(default_factory=list)
    kind: str = "certificate"

    @property
    def best(self) -> Statement:
        """The statement that is the certificate."""
        both = [self.at_prior] if self.optimised is None else [self.at_prior, self.optimised]
        return min(both, key=lambda statement: statement.certificate)

    def __repr__(self) -> str:
        other = "" if self.clopper_pearson is None else f"; Clopper-Pearson of the prior {self.clopper_pearson:.4g}"
        return (
            f"Certificate({self.loss} risk <= {self.certificate:.4g}{' (vacuous)' if self.vacuous else ''} with "
            f"probability {1 - self.delta:g}: {self.best.posterior}, KL {self.best.kl:.3g}, sampled risk "
            f"{self.best.risk:.4g}{other}; its test error {self.test_error:.4g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Give a JSON-ready dictionary."""
        found = {name: value for name, value in vars(self).items() if name not in ("at_prior", "optimised", "ledger")}
        return {
            **found,
            "gibbs_at_prior": asdict(self.at_prior),
            "optimised": None if self.optimised is None else asdict(self.optimised),
            "ledger": self.ledger.to_dict(),
        }

    def plot(self) -> "Figure":
        """Draw the certificate beside the risks and the bound that it has to beat."""
        return draw_certificates([self])


def draw_certificates(found: Sequence[Certificate]) -> "Figure":
    """Upper values and estimates against the share of examples that trained the prior.

    Args:
        found: at least one; several are sorted by that share.
    """

    def share(each: Certificate) -> float:
        return each.examples["prior"] / sum(each.examples.values())

    from ...ground.pictures import LINES, REFERENCE, new_figure  # here: who draws nothing does not load it

    ordered = sorted(found, key=share)
    x = [share(each) for each in ordered]
    figure = new_figure(1, width=5.6)
    (axes,) = figure.axes
    lines: dict[str, list[float | None]] = {
        "certificate of the randomised network": [each.certificate for each in ordered],
        "Clopper-Pearson, network at the prior": [each.clopper_pearson for each in ordered],
        "Gibbs risk, kept examples": [each.risk for each in ordered],
        "test error, network at the prior": [each.test_error for each in ordered],
    }
    for (label, values), style in zip(lines.items(), (*LINES, REFERENCE), strict=True):
        y = [value for value in values if value is not None]  # of one loss all, or none
        if y:
            axes.plot(x, y, label=label, **style)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of the examples that trained the prior")
    axes.set_ylabel(f"risk ({ordered[0].loss} loss)")
    axes.set_title(rf"$\delta$ = {ordered[0].delta:g}")
    axes.legend(frameon=False, fontsize=8)
    return figure
