"""Expressions as text, Unicode and LaTeX."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ..rules.formulas import latex_name
from .scopes import nested, opened
from .sums import Sum
from .terms import INNER, Atom, Factors, Term, samples
from .trees import GAMMA, MEAN, Tree, rootings

__all__ = [
    "LATEX",
    "TEXT",
    "UNICODE",
    "Style",
    "factor",
    "inside",
    "joined",
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


@dataclass(frozen=True)
class Style:
    """How the parts of an expression are written.

    Args:
        derivative: (order, of ``f``, ``f_m`` or ``phi``) -> name of the tensor.
        apply: (name, arguments, order) -> the tensor contracted with vectors.
        name: a parameter's or direction's name.
        rational: a coefficient other than 1.
        power: (base, exponent, base needs brackets) -> base^exponent.
        norm: of a vector.
        inner: of two vectors.
        sign: of a scalar.
        mean: of anything.
        numbered: (name, number) -> the name of one of several minibatches' tensors.
        means: (numbers, body) -> the expectation over several minibatches.
        fraction: (above, below) -> a quotient.
        space: between the factors of a product.
        math: a formula within a sentence.
    """

    derivative: Callable[[int, str], str]
    apply: Callable[[str, list[str], int], str]
    name: Callable[[str], str]
    rational: Callable[[Fraction], str]
    power: Callable[[str, Fraction, bool], str]
    norm: Callable[[str], str]
    inner: Callable[[str, str], str]
    sign: Callable[[str], str]
    mean: Callable[[str], str]
    numbered: Callable[[str, int], str]
    means: Callable[[list[int], str], str]
    fraction: Callable[[str, list[str]], str]
    space: str = " "
    math: Callable[[str], str] = lambda formula: formula


def _plain_power(base: str, exponent: Fraction, brackets: bool) -> str:
    shown = f"({base})" if brackets else base
    if exponent == 1:
        return shown
    return f"{shown}^{exponent}" if exponent.denominator == 1 else f"{shown}^({exponent})"


def _text_derivative(order: int, of: str) -> str:
    if of == "f_m" and order in (1, 2, 3):
        return "gHT"[order - 1]
    return {0: of, 1: f"D{of}"}.get(order, f"D{order}{of}")


def _brackets(name: str, arguments: list[str], order: int) -> str:
    return f"{name}[{','.join(arguments)}]" if arguments else name


def _slash(above: str, below: list[str]) -> str:
    return f"{above}/{below[0]}" if len(below) == 1 else f"{above}/({' '.join(below)})"


TEXT = Style(
    derivative=_text_derivative,
    apply=_brackets,
    name=lambda name: name,
    rational=str,
    power=_plain_power,
    norm=lambda a: f"|{a}|",
    inner=lambda a, b: f"<{a},{b}>",
    sign=lambda a: f"sign({a})",
    mean=lambda a: f"E[{a}]",
    numbered=lambda name, number: f"{name}{number}",
    means=lambda numbers, body: f"E_{''.join(map(str, numbers))}[{body}]",
    fraction=_slash,
)

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_GREEK = {"alpha": "α", "beta": "β", "rho": "ρ", "lambda": "λ", "eta": "η", "mu": "μ", "sigma": "σ", "tau": "τ"}


def _unicode_derivative(order: int, of: str) -> str:
    if of == "f_m" and order in (1, 2, 3):
        return "gHT"[order - 1]
    nabla = {0: "", 1: "∇"}.get(order, "∇" + str(order).translate(_SUPERSCRIPTS))
    return nabla + {"f_m": "f_γ", "phi": "φ"}.get(of, of)


def _unicode_power(base: str, exponent: Fraction, brackets: bool) -> str:
    shown = f"({base})" if brackets else base
    if exponent == 1:
        return shown
    if exponent.denominator == 1:
        return shown + str(exponent).translate(_SUPERSCRIPTS)
    return f"{shown}^({exponent})"


UNICODE = Style(
    derivative=_unicode_derivative,
    apply=lambda name, arguments, order: (
        f"{name}{'' if len(name) == 1 else ' '}{arguments[0]}"
        if len(arguments) == 1 and order == 2 and all(c.isalpha() or c in "∇² " for c in arguments[0])
        else _brackets(name, arguments, order)
    ),
    name=lambda name: _GREEK.get(name, name),
    rational=lambda c: {"1/2": "½", "1/4": "¼", "3/4": "¾", "1/6": "⅙", "1/3": "⅓", "2/3": "⅔"}.get(str(c), str(c)),
    power=_unicode_power,
    norm=lambda a: f"‖{a}‖",
    inner=lambda a, b: f"⟨{a},{b}⟩",
    sign=lambda a: f"sign({a})",
    mean=lambda a: f"E[{a}]",
    numbered=lambda name, number: name + str(number).translate(_SUBSCRIPTS),
    means=lambda numbers, body: f"E{''.join(map(str, numbers)).translate(_SUBSCRIPTS)}[{body}]",
    fraction=_slash,
)


def _latex_derivative(order: int, of: str) -> str:
    if of == "f_m" and order in (1, 2, 3):
        return "gHT"[order - 1]
    nabla = {0: "", 1: r"\nabla "}.get(order, rf"\nabla^{{{order}}}\!")
    return nabla + {"f_m": r"f_\gamma", "phi": r"\varphi"}.get(of, of)


def _latex_apply(name: str, arguments: list[str], order: int) -> str:
    inside = ", ".join(arguments)
    if not arguments:
        return name
    return rf"{name}\left[{inside}\right]" if r"\frac" in inside else f"{name}[{inside}]"


def _latex_power(base: str, exponent: Fraction, brackets: bool) -> str:
    shown = rf"\bigl({base}\bigr)" if brackets else base
    return shown if exponent == 1 else f"{shown}^{{{exponent}}}"


LATEX = Style(
    derivative=_latex_derivative,
    apply=_latex_apply,
    name=latex_name,
    rational=lambda c: str(c) if c.denominator == 1 else rf"\tfrac{{{c.numerator}}}{{{c.denominator}}}",
    power=_latex_power,
    norm=lambda a: rf"\lVert {a}\rVert",
    inner=lambda a, b: rf"\langle {a}, {b}\rangle",
    sign=lambda a: rf"\operatorname{{sign}}({a})",
    mean=lambda a: rf"\mathbb{{E}}\left[{a}\right]",
    numbered=lambda name, number: (
        name.replace(r"f_\gamma", rf"f_{{\gamma_{number}}}") if "f" in name else f"{name}_{{{number}}}"
    ),
    means=lambda numbers, body: rf"\mathbb{{E}}_{{{','.join(map(str, numbers))}}}\left[{body}\right]",
    fraction=lambda above, below: rf"\frac{{{above}}}{{{' '.join(below)}}}",
    space=r"\,",
    math=lambda formula: f"${formula}$",
)


def text(expression: Sum) -> str:
    """ASCII.

    Example:
        >>> from eigensam.sde.algebra.sums import Sum
        >>> g = Sum.derivative()
        >>> text(Sum.derivative(g).mean() * Fraction(-1, 2))
        '-1/2 E[H[g]]'
    """
    return show(expression, TEXT)


def unicode(expression: Sum) -> str:
    """Unicode, see :func:`text`."""
    return show(expression, UNICODE)


def latex(expression: Sum) -> str:
    r"""LaTeX, where :math:`g = \nabla f_\gamma`, :math:`H = \nabla^2 f_\gamma`, :math:`T = \nabla^3 f_\gamma`."""
    return show(expression, LATEX)


def text_series(coefficients: Mapping[int, Sum]) -> str:
    """A series in ``rho`` as ASCII."""
    return show_series(coefficients, TEXT)


def show(expression: Sum, style: Style, prefix: str = "") -> str:
    """A sum in a style; ``prefix`` goes between the coefficient and the rest of each term."""
    return joined(signed_terms(expression, style, prefix))


def show_series(coefficients: Mapping[int, Sum], style: Style) -> str:
    """``sum_k c_k rho^k`` in a style, lowest power first."""
    return joined(series_terms(coefficients, style))


def series_terms(coefficients: Mapping[int, Sum], style: Style, prefix: str = "") -> list[tuple[str, str]]:
    """The terms of :func:`show_series`, each with its sign in front; ``prefix`` goes before the power of ``rho``."""
    result = []
    for power in sorted(coefficients):
        rho = style.power(style.name("rho"), Fraction(power), False) if power else ""
        result += signed_terms(coefficients[power], style, style.space.join(part for part in (prefix, rho) if part))
    return result


def signed_terms(expression: Sum, style: Style, prefix: str = "") -> list[tuple[str, str]]:
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


def joined(terms: list[tuple[str, str]]) -> str:
    """Signed terms as one line."""
    result = "".join(f" {sign} {body}" for sign, body in terms)
    return (result[3:] if result.startswith(" + ") else "-" + result[3:]) if result else "0"


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
    for atom, e in _ordered(factors):
        (above if e > 0 or atom[0] == "n" else below).append(factor(atom, e if atom[0] == "n" else abs(e), style))
    if not below:
        return style.space.join([*above, show_vector(vector, style)] if vector else above)
    if not vector:
        return style.fraction(style.space.join(above) or "1", below)
    fraction = style.fraction(show_vector(vector, style), below)
    return style.space.join([*above, fraction])


def _ordered(factors: Factors) -> list[tuple[Atom, Fraction]]:
    """Numbers and parameters first."""
    return sorted(factors, key=lambda f: ("nasgt".find(f[0][0]), f[0]) if f[0][0] != "e" else (9, ("", repr(f))))


def factor(atom: Atom, e: Fraction, style: Style) -> str:
    """A power of an atom in a style."""
    kind, value = atom
    match kind:
        case "n":
            return style.power(str(value), e, False)
        case "a":
            return style.power(style.name(value), e, False)
        case "t":
            half = _half(value)
            if half is not None:
                return style.power(style.norm(show_vector(half, style)), 2 * e, False)
            shown = _scalar(value, style)
            return style.power(shown, e, False)
        case "e":
            return style.power(style.mean(_term(value, style)), e, False)
    base = inside(atom, style)
    return style.power(base, e, True) if kind == "s" else style.power(style.sign(base), e, False)


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
    if kind == "p" or not children:
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
    if kind == "v":
        return style.name(label)
    if kind == "e":
        return style.mean(_term(label, style))
    if kind == "p":
        return style.apply(style.derivative(order, "phi"), arguments, order)
    if kind == "x":
        return "."
    name = style.derivative(order, "f" if label == MEAN else "f_m")
    return style.apply(style.numbered(name, label) if label > GAMMA else name, arguments, order)
