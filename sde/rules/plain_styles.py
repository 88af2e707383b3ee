"""Formulas as characters: the language itself, ASCII, Unicode."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from .letters import unicode_name
from .names import KNOWN
from .style import Style, joined, rounded, signed

__all__ = ["PYTHON", "TEXT", "UNICODE"]

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_FRACTIONS = {"1/2": "½", "1/4": "¼", "3/4": "¾", "1/6": "⅙", "1/3": "⅓", "2/3": "⅔"}


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


def _shifted(name: str, shift: str | None) -> str:
    return name if shift is None else f"{name}({joined([('+', 'x'), signed(shift)])})"


def _derivative_at(tensor: Callable[[int], str]) -> Callable[[str | None, list[str], str], str]:
    """Of a minibatch's loss, its tensor named by its order; its gradient at ``x`` is ``g`` in every style."""

    def written(shift: str | None, arguments: list[str], draw: str) -> str:
        order = len(arguments) + 1
        if shift is None and not arguments:
            return f"g_{draw}" if draw else "g"
        name = tensor(order)
        return _brackets(_shifted(f"{name[: name.rindex('_')]}_{draw}" if draw else name, shift), arguments, order)

    return written


def _slashed(rational: Callable[[Fraction], str]) -> Callable[[Fraction, list[str], list[tuple[str, bool]]], str]:
    def product(number: Fraction, above: list[str], below: list[tuple[str, bool]]) -> str:
        top = " ".join([*([] if number == 1 else [rational(number)]), *above]) or "1"
        return _slash(top, [f"({body})" if compound else body for body, compound in below]) if below else top

    return product


TEXT = Style(
    parameter=lambda name: name,
    direction=lambda name: name,
    rational=str,
    power=_plain_power,
    norm=lambda a: f"|{a}|",
    inner=lambda a, b: f"<{a},{b}>",
    sign=lambda a: f"sign({a})",
    mean=lambda a: f"E[{a}]",
    derivative=_text_derivative,
    apply=_brackets,
    numbered=lambda name, number: f"{name}{number}",
    means=lambda numbers, body: f"E_{''.join(map(str, numbers))}[{body}]",
    fraction=_slash,
    derivative_at=_derivative_at(lambda order: "Df_m" if order == 1 else f"D{order}f_m"),
    loss_at=lambda shift, draw: _shifted(f"f_{draw or 'm'}", shift),
    state=lambda name: name,
    product=_slashed(str),
    brackets=lambda a: f"({a})",
    root=lambda a: f"{a}^(1/2)",
    block=lambda name, blocks: f"{name}_{''.join(blocks)}",
)


def _unicode_derivative(order: int, of: str) -> str:
    if of == "f_m" and order in (1, 2, 3):
        return "gHT"[order - 1]
    return _nabla(order) + {"f_m": "f_γ", "phi": "φ"}.get(of, of)


def _nabla(order: int) -> str:
    return {0: "", 1: "∇"}.get(order, "∇" + str(order).translate(_SUPERSCRIPTS))


def _unicode_rational(value: Fraction) -> str:
    if (short := rounded(value)) is not None:
        digits, exponent = short
        return f"{digits}·10{str(exponent).translate(_SUPERSCRIPTS)}" if exponent else digits
    return _FRACTIONS.get(str(value), str(value))


def _unicode_power(base: str, exponent: Fraction, brackets: bool) -> str:
    shown = f"({base})" if brackets else base
    if exponent == 1:
        return shown
    if exponent.denominator == 1:
        return shown + str(exponent).translate(_SUPERSCRIPTS)
    return f"{shown}^({exponent})"


def _unicode_apply(name: str, arguments: list[str], order: int) -> str:
    if len(arguments) == 1 and order == 2 and all(c.isalpha() or c in "∇² " for c in arguments[0]):
        return f"{name}{'' if len(name) == 1 else ' '}{arguments[0]}"  # a matrix times a vector: Hg
    return _brackets(name, arguments, order)


UNICODE = replace(
    TEXT,
    parameter=unicode_name,
    direction=unicode_name,
    rational=_unicode_rational,
    power=_unicode_power,
    norm=lambda a: f"‖{a}‖",
    inner=lambda a, b: f"⟨{a},{b}⟩",
    derivative=_unicode_derivative,
    apply=_unicode_apply,
    numbered=lambda name, number: name + str(number).translate(_SUBSCRIPTS),
    means=lambda numbers, body: f"E{''.join(map(str, numbers)).translate(_SUBSCRIPTS)}[{body}]",
    derivative_at=_derivative_at(lambda order: f"{_nabla(order)}f_γ"),
    loss_at=lambda shift, draw: _shifted(f"f_{draw or 'γ'}", shift),
    state=unicode_name,
    product=_slashed(_unicode_rational),
    root=lambda a: f"√{a}",
    block=lambda name, blocks: f"{name}_{','.join(unicode_name(block) for block in blocks)}",
)


def _python_power(base: str, exponent: Fraction, brackets: bool) -> str:
    shown = f"({base})" if brackets else base
    if exponent == -1:
        return f"1/{shown}"
    return f"{shown}**{exponent}" if exponent.denominator == 1 and exponent >= 0 else f"{shown}**({exponent})"


def _python_derivative(shift: str | None, arguments: list[str], draw: str) -> str:
    label = _python_label(draw)
    if not arguments:
        return "g" if shift is None and not draw else f"grad({', '.join([*([shift] if shift else []), *label])})"
    listed = ", ".join([*arguments, *([] if shift is None else [f"at={shift}"]), *label])
    return f"hvp({listed})" if len(arguments) == 1 else f"derivative({listed})"


def _python_loss(shift: str | None, draw: str) -> str:
    return f"loss({', '.join([*([shift] if shift else []), *_python_label(draw)])})"


def _python_label(draw: str) -> list[str]:
    return [f"draw='{draw}'"] if draw else []


def _python_product(number: Fraction, above: list[str], below: list[tuple[str, bool]]) -> str:
    """The numerator in front, the denominator last, so that it is read back as it was."""
    result = "*".join([*([] if number.numerator == 1 else [str(number.numerator)]), *above]) or "1"
    for body, compound in below:
        result += f"/({body})" if compound else f"/{body}"
    return result if number.denominator == 1 else f"{result}/{number.denominator}"


PYTHON = replace(
    TEXT,
    parameter=lambda name: name if name in KNOWN else f"parameter('{name}')",
    direction=lambda name: name if name in KNOWN else f"direction('{name}')",
    power=_python_power,
    norm=lambda a: f"norm({a})",
    inner=lambda a, b: f"inner({a}, {b})",
    derivative_at=_python_derivative,
    loss_at=_python_loss,
    product=_python_product,
)
"""The language of rules: what it writes, :func:`.parsing.parse` reads back. Sums, which have tensors of several
minibatches, have no words there and stay as in ``TEXT``."""
