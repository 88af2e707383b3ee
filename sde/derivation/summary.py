"""A derivation as text for a terminal, as LaTeX, and as a JSON-ready dictionary."""

import textwrap
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ...ground.errors import InputError
from ..algebra.printing import series_terms, show, show_series
from ..algebra.sums import Sum
from ..rules.latex_styles import LATEX, RULE_LATEX
from ..rules.plain_styles import TEXT, UNICODE
from ..rules.style import Style, joined
from .derived_sde import SDE
from .identities import Alignment, alignment_of
from .proof import Match

__all__ = ["latex_summary", "summary", "to_dict"]

_WIDTH = 110


def summary(sde: SDE) -> str:
    """The SDE, what was dropped, where the proof stops, and what it assumes.

    Example:
        >>> from eigensam.sde import derive, find_rule
        >>> print(summary(derive(find_rule("sgd"), 2, 1)).splitlines()[4])
          b  = -∇f - ½ η ∇²f ∇f
    """
    noise = f"Cov(h)   with h = {show_series(sde.covariance, UNICODE)}" if sde.covariance else "0"
    lines = [
        str(sde.rule),
        f"weak order {sde.weak_order} for ρ = c {_power('η', sde.rho_exponent)}, proved",
        "",
        "  dX = b dt + √η Σ^(1/2) dW",
        *_wrapped("  b  = ", _drift(sde, UNICODE)),
        *_wrapped("  Σ  = ", noise),
        "",
        "  g, H, T: first, second, third derivative of a minibatch's loss; f: the mean loss; E: over minibatches;",
        "  g₁, H₂, E₁₂: of several independent minibatches",
    ]
    if sde.dropped:
        lines += ["", "dropped, with the global error that it costs"]
        for d in sde.dropped:
            name = f"  {d.part:<10} {_power('ρ', d.rho_power) or '1':<3} O({_power('η', d.order)})  "
            lines += _wrapped(name, show(d.term, UNICODE))
    lines += ["", f"both one-step operators agree at {', '.join(map(_name, sde.proof.matched))}"]
    if sde.proof.mismatch:
        lines += [f"they differ first at exponent {sde.proof.mismatch[0].exponent}, the local error:"]
        for match in sde.proof.mismatch:
            lines += _wrapped(f"  {_name(match):<5} ", show(match.difference, UNICODE))
    if (split := _alignment(sde)) is not None:
        lines += [
            "",
            *_wrapped(
                "perturbation: -h = g + ρ Hu + ½ ρ² T[u,u] + O(ρ³)  with u = ", show(split.perturbation, UNICODE)
            ),
        ]
        lines += [
            "for one minibatch, v a unit eigenvector of H, λ simple: the multiple of (ρ²/2) ∇λ in the third-order drift"
        ]
        lines += _wrapped("  ⟨u,v⟩² = ", show(split.share, UNICODE))
    lines += ["", "assumptions"]
    for sentence in sde.assumptions:
        lines += _wrapped("  - ", sentence)
    return "\n".join(lines)


def latex_summary(sde: SDE) -> str:
    r"""The SDE as LaTeX equations, to paste into a paper (the whole proof: :func:`proof_document`)."""
    noise = joined(series_terms(sde.covariance, LATEX))
    return "\n".join(
        [
            rf"% {' '.join(sde.rule.name.split())}: weak order {sde.weak_order} for rho = c eta^({sde.rho_exponent})",
            r"\begin{align*}",
            r"x^+ &= x - \eta\,d_\gamma(x) \\",
            rf"d_\gamma &= {sde.rule.step.written(RULE_LATEX)} \\",
            r"dX &= b\,dt + \sqrt{\eta}\,\Sigma^{1/2}\,dW \\",
            rf"b &= {_drift(sde, LATEX)} \\",
            rf"\Sigma &= \operatorname{{Cov}}_\gamma\left({noise}\right)" if sde.covariance else r"\Sigma &= 0",
            r"\end{align*}",
        ]
    )


def to_dict(sde: SDE) -> dict[str, Any]:
    """Everything that :func:`summary` says, rationals as text such as ``2/3``, expressions as text and LaTeX."""

    def both(expression: Sum) -> dict[str, str]:
        return {"text": show(expression, TEXT), "latex": show(expression, LATEX)}

    def powers(coefficients: Mapping[int, Sum]) -> dict[str, dict[str, str]]:
        return {str(k): both(c) for k, c in sorted(coefficients.items())}

    def match(found: Match) -> dict[str, Any]:
        return {"eta_power": found.eta_power, "rho_power": found.rho_power, "exponent": str(found.exponent)}

    split = _alignment(sde)
    return {
        "rule": sde.rule.name,
        "step": str(sde.rule.step),
        "rho_exponent": str(sde.rho_exponent),
        "weak_order": str(sde.weak_order),
        "drift": powers(sde.drift),
        "correction": powers(sde.correction),
        "increments_of_the_covariance": powers(sde.covariance),
        "dropped": [
            {"part": d.part, "rho_power": d.rho_power, "order": str(d.order), **both(d.term)} for d in sde.dropped
        ],
        "matched": [match(found) for found in sde.proof.matched],
        "mismatch": [match(found) | both(found.difference) for found in sde.proof.mismatch],
        "perturbation": None if split is None else both(split.perturbation),
        "share_of_eigenvalue_gradient": None if split is None else both(split.share),
        "highest_derivative": sde.highest_derivative,
        "assumptions": sde.assumptions,
    }


def _drift(sde: SDE, style: Style) -> str:
    return joined(
        [*series_terms(sde.drift, style), *series_terms(sde.correction, style, prefix=style.parameter("eta"))]
    )


def _alignment(sde: SDE) -> Alignment | None:
    if 2 not in sde.increments or not sde.rule.perturbed:
        return None
    try:
        return alignment_of(sde.rule)
    except InputError:
        return None


def _power(base: str, exponent: Fraction | int) -> str:
    return UNICODE.power(base, Fraction(exponent), False) if exponent else ""


def _name(match: Match) -> str:
    return _power("η", match.eta_power) + _power("ρ", match.rho_power)


def _wrapped(head: str, body: str) -> list[str]:
    return textwrap.wrap(
        body,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
