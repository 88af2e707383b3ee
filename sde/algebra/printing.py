"""Sums and series as text, Unicode and LaTeX, in a :class:`~eigensam.sde.rules.style.Style`.

Printing knows terms only, so that sums and series, above it, can say how they print.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from ..rules.latex_styles import LATEX
from ..rules.plain_styles import TEXT, UNICODE
from ..rules.style import Style, joined
from .scopes import EXPECTATION, Terms, nested, opened
from .terms import CONTRACTION, INNER, NUMBER, PARAMETER, SIGN, SUM, Atom, Factors, Term, samples
from .trees import DIRECTION, EMPTY, GAMMA, INTO, MEAN, POSITION, STATE, TEST, Tree, rootings

__all__ = [
    "factor",
    "inside",
    "latex",
    "series_terms",
    "show",
    "show_series",
    "show_vector",
    "signed_terms",
    "text",
    "text_series",
    "unicode",
]


_READ = (NUMBER, PARAMETER, SUM, SIGN, CONTRACTION)
"""The order in which the factors of a product are read."""


def text(expression: Terms) -> str:
    """ASCII.

    Example:
        >>> from eigensam.sde.algebra.sums import Sum
        >>> g = Sum.derivative()
        >>> text(Sum.derivative(g).mean() * Fraction(-1, 2))
        '-1/2 E[H[g]]'
    """
    return show(expression, TEXT)


def unicode(expression: Terms) -> str:
    """Unicode, see :func:`text`."""
    return show(expression, UNICODE)


def latex(expression: Terms) -> str:
    r"""LaTeX, where :math:`g = \nabla f_\gamma`, :math:`H = \nabla^2 f_\gamma`, :math:`T = \nabla^3 f_\gamma`."""
    return show(expression, LATEX)


def text_series(coefficients: Mapping[int, Terms]) -> str:
    """A series in ``rho`` as ASCII."""
    return show_series(coefficients, TEXT)


def show(expression: Terms, style: Style, prefix: str = "") -> str:
    """A sum in a style; ``prefix`` goes between the coefficient and the rest of each term."""
    return joined(signed_terms(expression, style, prefix))


def show_series(coefficients: Mapping[int, Terms], style: Style) -> str:
    """``sum_k c_k rho^k`` in a style, lowest power first."""
    return joined(series_terms(coefficients, style))


def series_terms(coefficients: Mapping[int, Terms], style: Style, prefix: str = "") -> list[tuple[str, str]]:
    """The terms of :func:`show_series`, each with its sign in front; ``prefix`` goes before the power of ``rho``."""
    result = []
    for power in sorted(coefficients):
        rho = style.power(style.parameter("rho"), Fraction(power), False) if power else ""
        result += signed_terms(coefficients[power], style, style.space.join(part for part in (prefix, rho) if part))
    return result


def signed_terms(expression: Terms, style: Style, prefix: str = "") -> list[tuple[str, str]]:
    """The terms of :func:`show`, each with its sign in front."""
    result = []
    terms = sorted(((nested(term), c) for term, c in expression.terms.items()), key=lambda pair: _size(pair[0]))
    for term, c in terms:
        body = style.space.join(part for part in (prefix, _term(term, style)) if part)
        result.append(_signed(c, body, style))
    return result


def _signed(c: Fraction, body: str, style: Style) -> tuple[str, str]:
    number = "" if abs(c) == 1 and body else style.rational(abs(c))
    return "-" if c < 0 else "+", style.space.join(part for part in (number, body) if part)


def _size(term: Term) -> tuple[int, str]:
    shown = repr(term)
    return len(shown), shown


def _term(term: Term, style: Style) -> str:
    """A term whose expectations are closed, or, where they cross, stand in front with numbers."""
    crossing = sorted(s for s in samples(term) if GAMMA < s < INNER)
    return style.means(crossing, _product(term, style)) if crossing else _product(term, style)


def _product(term: Term, style: Style) -> str:
    vector, factors = term
    above: list[str] = []
    below: list[str] = []
    rest = _ordered(factors)
    if roots := [atom[1] for atom, e in rest if _is_root(atom, e)]:
        rest = [(atom, e) for atom, e in rest if not _is_root(atom, e)]
        above.append(style.root(str(math.prod(roots))))
    for atom, e in rest:
        number = atom[0] == NUMBER
        (above if e > 0 or number else below).append(factor(atom, e if number else abs(e), style))
    if not below:
        return style.space.join([*above, show_vector(vector, style)] if vector else above)
    if not vector:
        return style.fraction(style.space.join(above) or "1", below)
    fraction = style.fraction(show_vector(vector, style), below)
    return style.space.join([*above, fraction])


def _is_root(atom: Atom, e: Fraction) -> bool:
    return atom[0] == NUMBER and e == Fraction(1, 2)


def _ordered(factors: Factors) -> list[tuple[Atom, Fraction]]:
    """Numbers and parameters first, expectations last."""
    last = len(_READ)
    return sorted(
        factors, key=lambda f: (last, ("", repr(f))) if f[0][0] == EXPECTATION else (_READ.index(f[0][0]), f[0])
    )


def factor(atom: Atom, e: Fraction, style: Style) -> str:
    """A power of an atom in a style."""
    kind, value = atom
    if kind == SUM:
        return style.power(inside(atom, style), e, True)
    if kind == CONTRACTION and (half := _half(value)) is not None:
        return style.power(style.norm(show_vector(half, style)), 2 * e, False)
    written: dict[str, Callable[[], str]] = {
        NUMBER: lambda: str(value),
        PARAMETER: lambda: style.parameter(value),
        CONTRACTION: lambda: _scalar(value, style),
        EXPECTATION: lambda: style.mean(_term(value, style)),
        SIGN: lambda: style.sign(inside(atom, style)),
    }
    return style.power(written[kind](), e, False)


def inside(atom: Atom, style: Style) -> str:
    """The sum within a power or a sign, in a style."""
    return joined([_signed(c, _term(term, style), style) for term, c in opened(atom)])


def _half(tree: Tree) -> Tree | None:
    """``a``, if the scalar is ``<a, a>``."""
    for kind, label, children in rootings(tree):
        for i, child in enumerate(children):
            if child == (kind, label, children[:i] + children[i + 1 :]):
                half: Tree = child
                return half
    return None


def _scalar(tree: Tree, style: Style) -> str:
    kind, label, children = tree
    if kind == TEST or not children:
        return _applied(tree, style, len(children))
    if len(children) == 1:
        return style.inner(*sorted((show_vector((kind, label, ()), style), show_vector(children[0], style)), key=len))
    return _applied(tree, style, len(children))


def show_vector(tree: Tree, style: Style) -> str:
    """A vector tree in a style."""
    return _applied(tree, style, len(tree[2]) + 1)


def _applied(tree: Tree, style: Style, order: int) -> str:
    kind, label, children = tree
    arguments = [show_vector(child, style) for child in children]
    if kind == DIRECTION:
        return style.direction(label)
    if kind == STATE:
        return style.state(label)
    if kind == INTO:  # by itself only where a vector of several blocks has not been taken apart
        return f"{arguments[0]}@{label}"
    if kind == EXPECTATION:
        return style.mean(_term(label, style))
    if kind == TEST:
        return _test(children, style, order)
    if kind == EMPTY:
        return "."
    name = style.derivative(order, "f" if label == MEAN else "f_m") + "'" * max(0, MEAN - label)
    return style.apply(style.numbered(name, label) if label > GAMMA else name, arguments, order)


def _test(children: tuple[Tree, ...], style: Style, order: int) -> str:
    """A derivative of the test function: of one of several blocks, each argument has its block in the name."""
    blocks = [child[1] if child[0] == INTO else POSITION for child in children]
    arguments = [show_vector(child[2][0] if child[0] == INTO else child, style) for child in children]
    name = style.derivative(order, "phi")
    if any(child[0] == INTO for child in children):
        name = style.block(name, blocks)
    return style.apply(name, arguments, order)
