"""Numbers as text are exact; sizes that would be written out without end are refused."""

import ast
import random
from decimal import Decimal
from fractions import Fraction

import pytest

from eigensam.ground import InputError
from eigensam.ground.console import parse_number
from eigensam.ground.exact_numbers import exact_number, literal_number
from eigensam.sde.derivation.exponents import rational


def test_random_decimals_by_whole_numbers_and_by_the_standard_library():
    draw = random.Random(1)
    for _ in range(300):
        digits, point, exponent = draw.getrandbits(200), draw.randint(1, 20), draw.randint(-60, 60)
        written = str(digits).zfill(25)
        text = f"{written[:-point]}.{written[-point:]}e{exponent}"
        value = Fraction(digits) * Fraction(10) ** (exponent - point)
        assert exact_number(text) == exact_number(f"+{text}") == -exact_number(f"-{text}") == value
        assert Fraction(text) == value
        assert literal_number(ast.parse(text, mode="eval").body, text) == value
        assert Fraction(float(text)) != value or digits < 2**53  # through a float, it is another number


def test_through_a_float_it_would_be_another_number():
    assert exact_number("1.00000000000000000001") != Fraction(float("1.00000000000000000001")) == 1


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "1/2/3", "1/", "/2", "1e", "0x10", "1/0", "9" * 6000])
def test_not_numbers(text):
    with pytest.raises(InputError, match=r"is not a number|divides by 0"):
        exact_number(text)


@pytest.mark.parametrize("text", ["1e400", "1e-400", "1e999999999", "1e-999999999", "1e300/1e-300", "9" * 400])
def test_sizes(text):
    with pytest.raises(InputError, match="too large or too small"):
        exact_number(text)
    for read in (lambda: parse_number("--x", text), lambda: rational(text)):
        with pytest.raises(InputError):
            read()


@pytest.mark.parametrize("value", [Decimal("1e-999999999"), Decimal("nan"), Decimal("inf"), "1e999999999"])
def test_exponents_of_rho_are_refused_at_once(value):
    with pytest.raises(InputError, match="is not rational; write a fraction such as 1/3"):
        rational(value)


def test_exponents_of_rho_with_many_digits_are_exact():
    """More than 30 characters had been called not rational."""
    assert rational("0.33333333333333333333333333333333333") == Fraction(int("3" * 35), 10**35)
    assert rational("5e-1") == Fraction(1, 2)
