"""How the parts of a formula are written: what a rule's expression and an expanded sum have in common.

A :class:`Style` is a table of functions from written parts to the written whole. Expressions of the language and sums
of the algebra each know their own parts and ask a style for the rest, so that a name, a norm or an expectation looks
the same in both. The styles themselves: :mod:`.plain_styles`, :mod:`.latex_styles`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

__all__ = ["Style", "joined", "rounded", "signed"]

_MOST_DIGITS, _DECIMALS = 10, 6


@dataclass(frozen=True)
class Style:
    """How the parts of an expression are written.

    Args:
        parameter: the name of a number.
        direction: the name of a frozen unit vector.
        rational: a coefficient.
        power: (base, exponent, base needs brackets) -> base^exponent.
        norm: of a vector.
        inner: of two vectors.
        sign: of a scalar.
        mean: of anything.
        derivative: in sums, (order, of ``f``, ``f_m`` or ``phi``) -> name of the tensor.
        apply: in sums, (name, arguments, order) -> the tensor contracted with vectors.
        numbered: in sums, (name, number) -> the name of one of several minibatches' tensors.
        means: in sums, (numbers, body) -> the expectation over several minibatches.
        fraction: in sums, (above, below) -> a quotient.
        derivative_at: in rules, (shift or None, arguments, label) -> the labelled minibatch's derivative at
            ``x + shift``, contracted; no label is the step's own.
        loss_at: in rules, (shift or None, label) -> the minibatch's loss at ``x + shift``.
        state: the name of a block of the state.
        product: in rules, (positive number, factors above, factors below, each with whether it is a sum or the like)
            -> the product.
        brackets: in rules, around a sum that is a factor.
        root: in sums, the square root of a whole number.
        block: in sums, (a derivative of the test function, the blocks that it is taken in) -> its name.
        space: between the factors of a product.
        math: a formula within a sentence.
    """

    parameter: Callable[[str], str]
    direction: Callable[[str], str]
    rational: Callable[[Fraction], str]
    power: Callable[[str, Fraction, bool], str]
    norm: Callable[[str], str]
    inner: Callable[[str, str], str]
    sign: Callable[[str], str]
    mean: Callable[[str], str]
    derivative: Callable[[int, str], str]
    apply: Callable[[str, list[str], int], str]
    numbered: Callable[[str, int], str]
    means: Callable[[list[int], str], str]
    fraction: Callable[[str, list[str]], str]
    derivative_at: Callable[[str | None, list[str], str], str]
    loss_at: Callable[[str | None, str], str]
    state: Callable[[str], str]
    product: Callable[[Fraction, list[str], list[tuple[str, bool]]], str]
    brackets: Callable[[str], str]
    root: Callable[[str], str]
    block: Callable[[str, list[str]], str]
    space: str = " "
    math: Callable[[str], str] = lambda formula: formula


def signed(body: str) -> tuple[str, str]:
    """Take the sign off a written term.

    Example:
        >>> signed("-g"), signed("2*v")
        (('-', 'g'), ('+', '2*v'))
    """
    return ("-", body[1:]) if body.startswith("-") else ("+", body)


def joined(terms: list[tuple[str, str]]) -> str:
    """Write signed terms as one line.

    Example:
        >>> joined([("-", "g"), ("+", "v"), ("-", "w")])
        '-g + v - w'
    """
    result = "".join(f" {sign} {body}" for sign, body in terms)
    return (result[3:] if result.startswith(" + ") else "-" + result[3:]) if result else "0"


def rounded(value: Fraction) -> tuple[str, int] | None:
    """A long fraction as a decimal with 6 significant digits and a power of ten; None for what people read exactly.

    Example:
        >>> rounded(Fraction(54877, 6084)), rounded(Fraction(54321987, 1234567)), rounded(Fraction(1, 3 * 10**12))
        (None, ('44.0008', 0), ('3.33333', -13))
    """
    if value.denominator == 1 or len(f"{abs(value.numerator)}{value.denominator}") <= _MOST_DIGITS:
        return None
    context = Context(prec=_DECIMALS)
    found = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    exponent = found.adjusted()
    if -5 <= exponent < _DECIMALS:
        return f"{found.normalize(context):f}", 0
    return f"{found.scaleb(-exponent).normalize(context):f}", exponent
