"""A derivation as text for a terminal and as LaTeX; its dictionary is :meth:`.derived_sde.SDE.to_dict`."""

from ..algebra.printing import show
from ..rules.plain_styles import UNICODE
from ..rules.statements import is_statements
from .derived_sde import SDE
from .equations import power, wrapped
from .recursion_equations import RecursionEquations, show_blocks

__all__ = ["latex_summary", "summary"]


def summary(sde: SDE) -> str:
    """Write the SDE, what was dropped, where the proof stops, and what it assumes.

    Example:
        >>> from eigensam.sde import derive, find_rule
        >>> print(summary(derive(find_rule("sgd"), 2, 1)).splitlines()[4])
          b  = -∇f - ½ η ∇²f ∇f
    """
    lines = [
        sde.rule.name if is_statements(sde.rule.name) else str(sde.rule),
        f"weak order {sde.weak_order} for ρ = c {power(sde.rate_letter, sde.rho_exponent)}, proved",
        "",
        *sde.lines(statements=True),
        "",
        *_remarks(sde),
        "  g, H, T: first, second, third derivative of a minibatch's loss; f: the mean loss; E: over minibatches;",
        "  g₁, H₂, E₁₂: of several independent minibatches",
    ]
    if len(sde.blocks) > 1:
        lines += ["  ∇²φ_m,x[a,b]: the test function's derivative in the block m along a and in x along b"]
    if "." in "".join(sde.lines()):
        lines += ["  decimals are rounded to 6 digits; --format json has all of them"]
    if sde.dropped:
        lines += ["", "dropped, with the global error that it costs"]
        for d in sde.dropped:
            name = f"  {d.part:<10} {power('ρ', d.rho_power) or '1':<3} O({power('η', d.order)})  "
            lines += wrapped(name, show_blocks(d.term, UNICODE))
    lines += ["", f"both one-step operators agree at {', '.join(match.name for match in sde.proof.matched)}"]
    if sde.proof.mismatch:
        lines += [f"they differ first at exponent {sde.proof.mismatch[0].exponent}, the local error:"]
        for match in sde.proof.mismatch:
            lines += wrapped(f"  {match.name:<5} ", show(match.difference, UNICODE))
    if (split := sde.alignment) is not None:
        u = show(split.perturbation, UNICODE)
        lines += ["", *wrapped("perturbation: -h = g + ρ Hu + ½ ρ² T[u,u] + O(ρ³)  with u = ", u)]
        lines += [
            "for one minibatch, v a unit eigenvector of H, λ simple: the multiple of (ρ²/2) ∇λ in the third-order drift"
        ]
        lines += wrapped("  ⟨u,v⟩² = ", show(split.share, UNICODE))
    lines += ["", "assumptions"]
    for sentence in sde.assumptions:
        lines += wrapped("  - ", sentence)
    return "\n".join(lines)


def _remarks(sde: SDE) -> list[str]:
    if sde.parts is None:
        return []
    found = [line for sentence in RecursionEquations(sde, latex=False).remarks() for line in wrapped("  ", sentence)]
    return [*found, ""] if found else []


def latex_summary(sde: SDE) -> str:
    r"""Write the SDE as LaTeX equations, to paste into a paper (the whole proof: :func:`proof_document`)."""
    return "\n".join(
        [
            rf"% {' '.join(sde.rule.name.split())}: weak order {sde.weak_order} for rho = c eta^({sde.rho_exponent})",
            r"\begin{align*}",
            sde.latex_lines(),
            r"\end{align*}",
        ]
    )
