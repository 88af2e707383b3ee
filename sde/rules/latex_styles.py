r"""Formulas in LaTeX: :math:`g = \nabla f_\gamma`, :math:`H = \nabla^2 f_\gamma`, :math:`T = \nabla^3 f_\gamma`."""

from dataclasses import replace
from fractions import Fraction

from .letters import latex_name
from .style import Style, joined, rounded, signed

__all__ = ["LATEX", "RULE_LATEX"]


def _derivative(order: int, of: str) -> str:
    if of == "f_m" and order in (1, 2, 3):
        return "gHT"[order - 1]
    nabla = {0: "", 1: r"\nabla "}.get(order, rf"\nabla^{{{order}}}\!")
    return nabla + {"f_m": r"f_\gamma", "phi": r"\varphi"}.get(of, of)


def _apply(name: str, arguments: list[str], order: int) -> str:
    inside = ", ".join(arguments)
    if not arguments:
        return name
    return rf"{name}\left[{inside}\right]" if r"\frac" in inside else f"{name}[{inside}]"


def _power(base: str, exponent: Fraction, brackets: bool) -> str:
    shown = rf"\bigl({base}\bigr)" if brackets else base
    return shown if exponent == 1 else f"{shown}^{{{exponent}}}"


def _rational(value: Fraction) -> str:
    if (short := rounded(value)) is not None:
        digits, exponent = short
        return rf"{digits} \cdot 10^{{{exponent}}}" if exponent else digits
    return str(value) if value.denominator == 1 else rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}"


def _fraction(above: str, below: list[str]) -> str:
    return rf"\frac{{{above}}}{{{' '.join(below)}}}"


def _numbered(name: str, number: int) -> str:
    return name.replace(r"f_\gamma", rf"f_{{\gamma_{number}}}") if "f" in name else f"{name}_{{{number}}}"


def _growing(inside: str) -> str:
    return rf"\left({inside}\right)"


def _shifted(name: str, shift: str | None) -> str:
    return name if shift is None else name + _growing(joined([("+", "x"), signed(shift)]))


def _derivative_at(shift: str | None, arguments: list[str], draw: str) -> str:
    label = rf"\mathrm{{{draw}}}" if draw else r"\gamma"
    if shift is None and not arguments:
        return f"g_{{{label}}}" if draw else "g"
    power = f"^{{{len(arguments) + 1}}}" if arguments else ""
    inside = rf"\left[{', '.join(arguments)}\right]" if arguments else ""
    return _shifted(rf"\nabla{power} f_{{{label}}}" if draw else rf"\nabla{power} f_\gamma", shift) + inside


def _product(number: Fraction, above: list[str], below: list[tuple[str, bool]]) -> str:
    top = " ".join([*([] if number == 1 else [_rational(number)]), *above]) or "1"
    alone = len(below) == 1  # below a bar, one sum needs no brackets
    return _fraction(top, [_growing(body) if sum_ and not alone else body for body, sum_ in below]) if below else top


LATEX = Style(
    parameter=latex_name,
    direction=latex_name,
    rational=_rational,
    power=_power,
    norm=lambda a: rf"\lVert {a}\rVert",
    inner=lambda a, b: rf"\langle {a}, {b}\rangle",
    sign=lambda a: rf"\operatorname{{sign}}({a})",
    mean=lambda a: rf"\mathbb{{E}}\left[{a}\right]",
    derivative=_derivative,
    apply=_apply,
    numbered=_numbered,
    means=lambda numbers, body: rf"\mathbb{{E}}_{{{','.join(map(str, numbers))}}}\left[{body}\right]",
    fraction=_fraction,
    derivative_at=_derivative_at,
    loss_at=lambda shift, draw: _shifted(rf"f_{{\mathrm{{{draw}}}}}" if draw else r"f_\gamma", shift),
    state=latex_name,
    product=_product,
    brackets=_growing,
    root=lambda a: rf"\sqrt{{{a}}}",
    block=lambda name, blocks: f"{name}_{{{', '.join(latex_name(block) for block in blocks)}}}",
    space=r"\,",
    math=lambda formula: f"${formula}$",
)


def _rule_power(base: str, exponent: Fraction, brackets: bool) -> str:
    if exponent < 0:
        return _fraction("1", [base if exponent == -1 else _rule_power(base, -exponent, brackets)])
    return f"{_growing(base) if brackets else base}^{{{exponent}}}"


RULE_LATEX = replace(
    LATEX,
    power=_rule_power,
    inner=lambda a, b: rf"\left\langle {a}, {b}\right\rangle",
    sign=lambda a: rf"\operatorname{{sign}}{_growing(a)}",
)
"""LaTeX whose brackets grow: a rule nests fractions in them, an expanded sum does not."""
