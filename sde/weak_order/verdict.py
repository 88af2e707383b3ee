"""What a verification found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from .evidence import Evidence, Verdict, observed_slopes
from .needed_terms import Term

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Method", "WeakOrder", "conclude"]

Method = Literal["torus", "one-step", "moments", "monte-carlo"]


@dataclass(frozen=True, repr=False)
class WeakOrder:
    """What a verification found. ``print`` shows the verdict, the step sizes, errors and slopes.

    Attributes:
        method: ``torus``, ``one-step``, ``moments`` or ``monte-carlo``.
        rule: name of the update rule.
        drift: powers of ``rho`` that the drift keeps.
        correction: powers of ``rho`` that the correction ``b_1`` keeps.
        covariance: powers of ``rho`` that the increment in the covariance keeps.
        rho_exponent: ``beta`` of ``rho = rho_scale * eta^beta``.
        rho_scale: the constant ``c`` of that law.
        etas: step sizes, decreasing.
        errors: weak error at each step size (of one step for ``one-step``).
        slopes: ``log(e_i / e_{i+1}) / log(eta_i / eta_{i+1})``.
        slope: the measured one: the last that noise or rounding leaves.
        expected: the order that the derivation proves, or the claim under test; 1 more for ``one-step``.
        tolerance: largest accepted distance between ``slope`` and ``expected``.
        verdict: ``pass``, ``fail``, or ``inconclusive`` where the measurement cannot tell.
        reason: the numbers behind the verdict.
        details: what the method adds, see its function; and for all of them ``measured``, where the slopes were
            measured, ``laws``, the verdict at each ``rho scale``, and ``visible``, by term that the order needs the
            relative mistake in its coefficient from which on the verdict would have been another (None where none is
            seen).

    Example:
        >>> from eigensam.landscapes import Quadratic
        >>> from eigensam.sde import derive, find_rule, verify_moments
        >>> f, sde = Quadratic.random(2), derive(find_rule("sgd"), 1, 1)
        >>> print(verify_moments(sde, landscape=f, etas=[1 / 32, 1 / 64, 1 / 128]))
        sgd by moments: pass: slope 1.000, expected 1.000 +- 0.05
                eta  weak error  slope
            0.03125    0.001466
           0.015625   0.0007328  1.000
          0.0078125   0.0003664  1.000
    """

    method: Method
    rule: str
    drift: list[int]
    correction: list[int]
    covariance: list[int]
    rho_exponent: float
    rho_scale: float
    etas: list[float]
    errors: list[float]
    slopes: list[float]
    slope: float
    expected: float
    tolerance: float
    verdict: Verdict
    reason: str
    details: dict[str, Any]

    def __repr__(self) -> str:
        return (
            f"WeakOrder(rule={self.rule!r}, method={self.method!r}, verdict={self.verdict!r}, "
            f"slope={self.slope:.4g}, expected={self.expected:.4g})"
        )

    def __str__(self) -> str:
        columns, rows = self.table()
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        lines = [f"{self.rule} by {self.method}: {self.verdict}: {self.reason}"]
        for row in (columns, *rows):
            lines.append("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        return "\n".join(lines)

    @property
    def rate_name(self) -> str:
        """``eta``, or ``eps`` where that is the effective rate of a recursion, another one than the learning rate."""
        return "eta" if self.details.get("effective_rate", "1") == "1" else "eps"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of step sizes, errors and slopes, as text."""
        half_widths = self.details.get("half_widths")
        error_name = "local error" if self.method == "one-step" else "weak error"
        columns = [self.rate_name, error_name, *(["+-"] if half_widths else []), "slope"]
        rows = []
        for i, (eta, error, slope) in enumerate(zip(self.etas, self.errors, [None, *self.slopes], strict=True)):
            width = [f"{half_widths[i]:.2g}"] if half_widths else []
            rows.append([f"{eta:.6g}", f"{error:.4g}", *width, "" if slope is None else f"{slope:.3f}"])
        return columns, rows

    def plot(self) -> "Figure":
        """Draw errors against step sizes, see :func:`draw_weak_order`; ``.savefig("order.pdf")`` writes it."""
        from .picture import draw_weak_order  # here: who does not draw needs no matplotlib

        return draw_weak_order(self.to_dict())

    def to_dict(self) -> dict[str, object]:
        """A JSON-ready dictionary, the details among the rest."""
        result = asdict(self)
        details: dict[str, object] = result.pop("details")
        return result | details


def conclude(
    method: Method,
    evidence: Sequence[Evidence],
    *,
    etas: Sequence[float] = (),
    errors: Sequence[float] = (),
    **details: Any,
) -> WeakOrder:
    """The result: it passes where all laws of ``rho`` do, and fails where one does.

    Args:
        method: how it was measured.
        evidence: at one law of ``rho`` or more, the claim's first.
        etas: all step sizes, where the errors of the smallest are not known well enough to be evidence.
        errors: at all of these.
        details: what else the method reports; ``laws``, ``measured`` and ``visible`` are added.
    """
    first = evidence[0]
    claim, judged = first.claim, [each.judged() for each in evidence]
    verdicts = [verdict for verdict, _ in judged]
    verdict: Verdict = "fail" if "fail" in verdicts else "inconclusive" if "inconclusive" in verdicts else "pass"
    chosen = verdicts.index(verdict)
    reason = f"at rho scale {evidence[chosen].claim.rho_scale:g}: {judged[chosen][1]}" if chosen else judged[0][1]
    visible = _visible(evidence)
    if verdict == "pass" and (doubt := _blind(first, visible)):
        verdict, reason = "inconclusive", doubt
    laws = [
        {
            "rho_scale": each.claim.rho_scale,
            "etas": list(each.claim.etas),
            "errors": each.errors,
            "slope": each.slope,
            "verdict": own,
            "reason": why,
        }
        for each, (own, why) in zip(evidence, judged, strict=True)
    ]
    seen = [
        {
            "part": term.part,
            "rho_power": term.rho_power,
            "order": str(term.order),
            "change": change if math.isfinite(change) else None,
        }
        for term, change in visible.items()
    ]
    if claim.sde.parts is not None:
        details["effective_rate"] = str(claim.sde.rate)
    etas, errors = list(etas or claim.etas), list(errors or first.errors)
    return WeakOrder(
        method=method,
        rule=claim.sde.rule.name,
        drift=sorted(claim.sde.increments),
        correction=sorted(claim.sde.correction),
        covariance=sorted(claim.sde.covariance),
        rho_exponent=float(claim.sde.rho_exponent),
        rho_scale=claim.rho_scale,
        etas=etas,
        errors=errors,
        slopes=observed_slopes(etas, errors),
        slope=first.slope,
        expected=claim.expected,
        tolerance=claim.tolerance,
        verdict=verdict,
        reason=reason,
        details={**details, "measured": [_where(each) for each in evidence], "laws": laws, "visible": seen},
    )


def _visible(evidence: Sequence[Evidence]) -> dict[Term, float]:
    """A mistake that one law shows does not pass."""
    each = [one.visible() for one in evidence]
    return {term: min(found[term] for found in each if term in found) for term in each[0]}


def _blind(first: Evidence, visible: Mapping[Term, float]) -> str:
    """Which needed term the measurement does not see, if one."""
    claim = first.claim
    if not visible or max(visible.values()) <= claim.visible:
        return ""
    term = max(visible, key=lambda each: visible[each])
    what = f"{first.numbers()}, but {term}, without which the order is {term.order}"
    if claim.order - float(term.order) <= claim.tolerance:
        return f"{what}, is nearer than the tolerance: no slope tells both from each other"
    if math.isinf(visible[term]):
        why = "has no influence at all"
    else:
        why = f"could be wrong by {visible[term]:.1%} of itself unseen, at most {claim.visible:.0%} may"
    return (
        f"{what}, {why}: use a larger rho scale, smaller step sizes, or a landscape, start and test functions that "
        "feel it"
    )


def _where(evidence: Evidence) -> str:
    etas = evidence.claim.etas
    return f"rho scale {evidence.claim.rho_scale:g}, eta {etas[0]:.3g} to {etas[-1]:.3g}: slope {evidence.slope:.3f}"
