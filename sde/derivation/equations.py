"""The equations of an SDE, and exact expressions for JSON: what its print, its LaTeX and its dictionary share."""

import textwrap
from collections.abc import Mapping
from fractions import Fraction

from ..algebra.printing import series_terms, show, show_series
from ..algebra.sums import Sum
from ..rules.latex_styles import LATEX, RULE_LATEX
from ..rules.plain_styles import TEXT, UNICODE
from ..rules.rule import Rule
from ..rules.style import Style, joined

__all__ = ["expression_texts", "latex_equations", "power", "power_name", "unicode_equations", "wrapped"]

_WIDTH = 110

Powers = Mapping[int, Sum]


def unicode_equations(drift: Powers, correction: Powers, covariance: Powers) -> list[str]:
    """Write ``dX``, ``b`` and ``Sigma`` as lines of a terminal."""
    noise = f"Cov(h)   with h = {show_series(covariance, UNICODE)}" if covariance else "0"
    return [
        "  dX = b dt + √η Σ^(1/2) dW",
        *wrapped("  b  = ", _drift(drift, correction, UNICODE)),
        *wrapped("  Σ  = ", noise),
    ]


def latex_equations(rule: Rule, drift: Powers, correction: Powers, covariance: Powers) -> str:
    """Write the rule, ``dX``, ``b`` and ``Sigma`` as the lines of an aligned equation."""
    noise = joined(series_terms(covariance, LATEX))
    return "\n".join(
        [
            r"x^+ &= x - \eta\,d_\gamma(x) \\",
            rf"d_\gamma &= {rule.step.written(RULE_LATEX)} \\",
            r"dX &= b\,dt + \sqrt{\eta}\,\Sigma^{1/2}\,dW \\",
            rf"b &= {_drift(drift, correction, LATEX)} \\",
            rf"\Sigma &= \operatorname{{Cov}}_\gamma\left({noise}\right)" if covariance else r"\Sigma &= 0",
        ]
    )


def _drift(drift: Powers, correction: Powers, style: Style) -> str:
    more = series_terms(correction, style, prefix=style.parameter("eta"))
    return joined([*series_terms(drift, style), *more])


def expression_texts(expression: Sum) -> dict[str, str]:
    """Write an expression as ASCII and as LaTeX.

    Example:
        >>> expression_texts(Sum.derivative().mean())
        {'text': 'Df', 'latex': '\\\\nabla f'}
    """
    return {"text": show(expression, TEXT), "latex": show(expression, LATEX)}


def power(base: str, exponent: Fraction | int) -> str:
    """Write a power of a letter in Unicode; nothing for the power 0.

    Example:
        >>> power("η", Fraction(1, 3)), power("ρ", 2), power("ρ", 0)
        ('η^(1/3)', 'ρ²', '')
    """
    return UNICODE.power(base, Fraction(exponent), False) if exponent else ""


def power_name(eta_power: int, rho_power: int) -> str:
    """Name a coefficient by its powers.

    Example:
        >>> power_name(2, 1)
        'η²ρ'
    """
    return power("η", eta_power) + power("ρ", rho_power)


def wrapped(head: str, body: str) -> list[str]:
    """Break a line where it is too long for a terminal; what follows is indented by the head."""
    return textwrap.wrap(
        body,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
