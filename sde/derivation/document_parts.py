"""LaTeX that the documents of rules and of recursions share: broken equations, powers, a title."""

from fractions import Fraction

from ..rules.latex_styles import LATEX
from .derived_sde import SDE

__all__ = ["ETA", "RHO", "RHO_LAW", "aligned", "equation", "power", "title"]

ETA, RHO, RHO_LAW = r"\eta", r"\rho", r"\rho = c\,\eta"
_WIDTH = 230  # characters of LaTeX source that make about one line of the page


def power(base: str, exponent: Fraction | int) -> str:
    """A power in LaTeX."""
    return LATEX.power(base, Fraction(exponent), False)


def _lines(terms: list[tuple[str, str]]) -> str:
    """Signed terms as the right-hand side of an aligned equation, broken into lines."""
    if not terms:
        return "0"
    lines, current = [], ""
    for number, (sign, body) in enumerate(terms):
        shown = body if number == 0 and sign == "+" else f"{sign} {body}"
        if current and len(current) + len(shown) > _WIDTH:
            lines.append(current)
            current = ""
        current += shown + " "
    return "\\\\\n&\\quad ".join([*lines, current]).rstrip()


def equation(left: str, terms: list[tuple[str, str]], end: str = ".") -> str:
    """A displayed equation, broken into lines."""
    return aligned([(left, terms, "=")], end)


def aligned(rows: list[tuple[str, list[tuple[str, str]], str]], end: str = "") -> str:
    """Displayed equations, one below the other: (left, signed terms of the right, relation)."""
    body = " \\\\\n".join(f"{left} &{relation} {_lines(terms)}" for left, terms, relation in rows)
    return f"\\begin{{align*}}\n{body}{end}\n\\end{{align*}}"


_ESCAPED = str.maketrans(
    {c: "\\" + c for c in "_&%#${}"} | {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "<": "$<$", ">": "$>$"}
)


def title(sde: SDE) -> str:
    """Of the first section: with the rule's name, where it is short."""
    name = " ".join(sde.rule.name.split())
    return f"The SDE of {name.translate(_ESCAPED)}" if len(name) < 30 else "The SDE"
