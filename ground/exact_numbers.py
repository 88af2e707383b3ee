"""Numbers given as text, read exactly: no digit passes through a float."""

import ast
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from .errors import InputError

__all__ = ["MOST_BITS", "exact_number", "literal_number"]

MOST_BITS = 1_000
"""Ours, of a numerator or denominator, about 300 digits: a float holds numbers from 2^-1022 to 2^1024."""

_LONGEST = 5_000  # characters, and digits of an exponent of ten that is written out


def exact_number(text: str) -> Fraction:
    """The rational number that ``1/3``, ``-0.1``, ``2.5e-3`` or ``1_000`` stands for.

    Raises:
        InputError: another text, a division by 0, or a numerator or denominator of more than 1000 bits.

    Example:
        >>> exact_number("1.00000000000000000001") - 1
        Fraction(1, 100000000000000000000)
    """
    above, *below = text.split("/")
    if len(text) > _LONGEST or len(below) > 1:
        raise InputError(f"{text[:60]!r} is not a number; give e.g. 1/3 or 0.5")
    value = _decimal(above)
    for divisor in map(_decimal, below):
        if not divisor:
            raise InputError(f"{text[:60]!r} divides by 0; give another denominator")
        value /= divisor
    return _checked(value, text)


def literal_number(node: ast.Constant, source: str) -> Fraction:
    """The number that a literal of Python's is in the text that it was parsed from: Python keeps a rounded one.

    Example:
        >>> text = "0.1"
        >>> literal_number(ast.parse(text, mode="eval").body, text)
        Fraction(1, 10)
    """
    if isinstance(node.value, int):  # Python keeps it exactly, 0x10 included
        return _checked(Fraction(node.value), ast.get_source_segment(source, node) or "")
    return exact_number(ast.get_source_segment(source, node) or "")


def _decimal(text: str) -> Fraction:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise InputError(f"{text[:60]!r} is not a number; give e.g. 1/3 or 0.5")
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    if number and abs(exponent) > _LONGEST:
        raise _too_large(text)
    return Fraction(number) if number else Fraction(0)


def _checked(value: Fraction, text: str) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise _too_large(text)
    return value


def _too_large(text: str) -> InputError:
    return InputError(
        f"the number {text[:60]} is too large or too small to be read exactly; give numerators and denominators below "
        f"2^{MOST_BITS}, about 300 digits"
    )
