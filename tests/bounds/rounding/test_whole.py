"""Counts are exact, or refused."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from eigensam.bounds.rounding.whole import whole_number
from eigensam.ground import InputError


@pytest.mark.parametrize(
    "value",
    [7, 7.0, np.int8(7), np.uint64(7), np.float16(7), np.longdouble(7), np.array(7), torch.tensor(7), torch.tensor(7.0),
     Fraction(14, 2), Decimal("7.0")],
)  # fmt: skip
def test_types(value):
    assert whole_number("n", value) == 7
    assert type(whole_number("n", value)) is int


def test_every_digit_of_integers():
    for value in (2**53 + 1, 2**63 - 1, 10**400 + 1):
        assert whole_number("n", value) == value
    assert whole_number("n", np.int8(127)) == 127
    assert whole_number("n", np.uint64(2**64 - 1)) == 2**64 - 1
    assert whole_number("n", torch.tensor(2**53 + 1)) == 2**53 + 1


@pytest.mark.parametrize("value", [0.5, math.inf, -math.inf, math.nan, Fraction(1, 3), Decimal("0.1"), Decimal("inf")])
def test_not_whole(value):
    with pytest.raises(InputError, match="is not a whole number; give a count"):
        whole_number("n", value)


@pytest.mark.parametrize(
    "value",
    [2.0**53, np.float16(2048), np.float32(2**24), torch.tensor(256.0, dtype=torch.bfloat16), np.float16(2050)],
)
def test_beyond_what_a_narrow_float_counts(value):
    """257 in bfloat16 reads 256."""
    assert float(torch.tensor(257, dtype=torch.bfloat16)) == 256
    with pytest.raises(InputError, match="is beyond what its type counts one by one; count in integers"):
        whole_number("n", value)


def test_last_counts_of_narrow_floats():
    assert whole_number("n", np.float16(2047)) == 2047
    assert whole_number("n", torch.tensor(255.0, dtype=torch.bfloat16)) == 255
    assert whole_number("n", 2.0**53 - 1) == 2**53 - 1


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), 1j, "3", None, [3], torch.tensor([3])])
def test_not_a_number(value):
    with pytest.raises(InputError, match="is not one real number"):
        whole_number("n", value)


def test_too_small():
    with pytest.raises(InputError, match="n = 1 is too small; need at least 2"):
        whole_number("n", 1, least=2)
