"""The weak order of SDEs of SAM, measured on the tilted torus: what each power of rho, correction and noise are for."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ...ground.pictures import LINES, new_figure
from ..item import Claim, Item, Progress, Table
from ..registry import ITEMS
from ..resources import Resources
from ..verdict import NOT_RESOLVED, Verdict, decide

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ...sde.derivation.derived_sde import SDE

__all__ = ["ORDER_2", "SECOND", "THIRD", "WeakOrder", "curves"]

FIRST, SECOND, THIRD = "first order (SGD SDE)", "second order (Compagnoni et al.)", "third order (the paper)"
ORDER_2 = "order 2 (derived)"


def curves(exponent: str) -> "dict[str, SDE]":
    """The SDEs of one panel: truncations where order 1 is the question, ablations where it is order 2."""
    from ...sde.derivation.derived_sde import derive, truncate
    from ...sde.rules.finding import find_memoryless

    sam = find_memoryless("sam")
    if exponent != "2/3":
        return {label: truncate(sam, exponent, order) for order, label in enumerate((FIRST, SECOND, THIRD), start=1)}
    full = derive(sam, 2, exponent)
    without = {
        "without the correction $b_1$": {"covariance_order": len(full.covariance), "correction_order": 0},
        "without noise": {"covariance_order": 0, "correction_order": len(full.correction)},
    }
    return {ORDER_2: full} | {
        label: truncate(sam, exponent, len(full.increments), **orders) for label, orders in without.items()
    }


def _etas() -> tuple[float, ...]:
    from ...sde.weak_order.claim import ETAS

    return ETAS


@ITEMS.register("weak_order", order=1)
@dataclass(frozen=True)
class WeakOrder(Item):
    """Weak error against step size, a panel per exponent of ``rho``.

    Attributes:
        etas: step sizes, the largest first.
        rho_exponents: the panels.
    """

    label = "weak order"
    title = "Weak order of SDEs of SAM"
    etas: tuple[float, ...] = field(default_factory=_etas)
    rho_exponents: tuple[str, ...] = ("1/3", "1/2", "2/3")

    def measure(self, resources: Resources, progress: Progress) -> list[dict[str, Any]]:
        """One verification per exponent and SDE."""
        from ...sde.weak_order.torus import verify_on_torus

        panels = [(exponent, *curve) for exponent in self.rho_exponents for curve in curves(exponent).items()]
        results = []
        for exponent, label, sde in panels:
            found = verify_on_torus(sde, etas=self.etas)
            results.append({"exponent": exponent, "label": label, **found.to_dict()})
            progress(len(results), len(panels))
        return results

    def plot(self, result: list[dict[str, Any]]) -> "Figure":
        """Weak error against step size, one panel per exponent, with the predicted slopes as thin guides."""
        exponents = list(dict.fromkeys(each["exponent"] for each in result))
        figure = new_figure(len(exponents))
        for axes, exponent in zip(figure.axes, exponents, strict=True):
            ours = [each for each in result if each["exponent"] == exponent]
            for each, line in zip(ours, LINES, strict=True):
                etas, errors = each["etas"], each["errors"]
                axes.loglog(etas, errors, label=f"{each['label']}: slope {each['slopes'][-1]:.2f}", **line)
                guide = [errors[-1] * (eta / etas[-1]) ** each["expected"] for eta in etas]
                last = "predicted" if each is ours[-1] else None
                axes.loglog(etas, guide, color="0.6", linewidth=0.7, zorder=0, label=last)
            axes.set_xscale("log", base=2)
            axes.set_xlabel(r"step size $\eta$")
            axes.set_ylabel(r"weak error $|E\varphi(x_k)-E\varphi(X_{k\eta})|$ (max)")
            axes.set_title(rf"$\rho = 0.8\,\eta^{{{exponent}}}$")
            low, high = axes.get_ylim()
            axes.set_ylim(low, high * (high / low) ** 0.4)  # room for the legend
            axes.legend(loc="upper left", fontsize=8, frameon=False)
        return figure

    def claims(self, result: list[dict[str, Any]]) -> list[Claim]:
        """What was measured of the orders that the paper states, or that we derived."""
        stated = (
            ("1/3", THIRD, "Third-order SDE of SAM at rho = O(eta^(1/3)) (Theorem 4.2)"),
            ("1/3", SECOND, "Second-order SDE is not enough there (remainder O(rho^2))"),
            ("1/2", SECOND, "Second-order SDE of SAM at rho = O(eta^(1/2)) (Compagnoni et al.)"),
            ("2/3", ORDER_2, "Beyond the paper: an SDE of SAM of order 2 at rho = O(eta^(2/3))"),
        )
        measured = {(each["exponent"], each["label"]): each for each in result}
        return [
            _claim(measured[exponent, label], claim)
            for exponent, label, claim in stated
            if (exponent, label) in measured
        ]

    def caption(self, result: list[dict[str, Any]]) -> str:
        """How the errors were made, and what the names of the curves mean."""
        return (
            "Weak error on a tilted torus in two dimensions, T = 1, without Monte-Carlo noise. First, second and third "
            "order: the SDE truncated after ρ⁰, ρ¹ and ρ². Order 2: third-order drift with the correction "
            "b₁ = \N{MINUS SIGN}½ (Db) b, and what it is without correction or noise. Grey lines: predicted order, "
            "through the last point."
        )

    def tables(self, result: list[dict[str, Any]]) -> list[Table]:
        """Predicted orders and last slopes."""
        rows = [
            (
                each["exponent"],
                each["label"].replace("$b_1$", "b₁"),
                _exponent(each["expected"]),
                f"{each['slopes'][-1]:.3f}",
                each["verdict"],
            )
            for each in result
        ]
        return [Table(("ρ exponent", "SDE", "predicted order", "last slope", "verdict"), rows, right=(2, 3))]


def _claim(found: dict[str, Any], claim: str) -> Claim:
    return Claim(
        claim,
        f"theory: order {_exponent(found['expected'])}",
        f"last slope {found['slopes'][-1]:.3f}",
        _verdict(found),
    )


def _verdict(found: dict[str, Any]) -> Verdict:
    """By the last slope; where the errors themselves cannot be trusted, by nothing."""
    slope, expected, tolerance = found["slopes"][-1], found["expected"], found["tolerance"]
    near = abs(slope - expected) <= tolerance
    said = f"last slope {slope:.3f} {'within' if near else 'not within'} {tolerance:g} of {_exponent(expected)} (ours)"
    if found["verdict"] == "inconclusive":
        return Verdict(NOT_RESOLVED, f"{said}; {found['reason'] or 'the errors are too rough'}")
    return decide(near and found["verdict"] == "pass", said)


def _exponent(value: float) -> str:
    return str(Fraction(value).limit_denominator(12))
