"""Real scalars become floats exactly or outward."""

import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from eigensam.bounds.rounding.real import real_number
from eigensam.ground import InputError


@pytest.mark.parametrize(
    "value",
    [0.1, 3, -2, np.float32(0.1), np.float16(3.3), np.int8(-4), torch.tensor(0.1), torch.tensor(2), np.array(0.5)],
)
def test_exact_where_a_float_holds_it(value):
    assert real_number("x", value, "up") == real_number("x", value, "down") == Fraction(float(value))


@pytest.mark.parametrize(
    "value", [Fraction(1, 3), Fraction(-2, 7), Decimal("0.1"), 2**53 + 1, np.int64(2**53 + 1), 10**400, -(10**400)]
)
def test_outward_where_it_does_not(value):
    exact = Fraction(int(value)) if isinstance(value, np.integer) else Fraction(value)
    low, high = real_number("x", value, "down"), real_number("x", value, "up")
    assert math.nextafter(low, math.inf) == high
    for end, below in ((low, True), (high, False)):
        if math.isfinite(end):
            assert (Fraction(end) < exact) == below
        else:
            assert (end < 0) == below


@pytest.mark.parametrize(
    "value",
    [True, np.True_, torch.tensor(True), 1j, "0.1", None, [0.1], np.array([0.1]), torch.tensor([0.1]), np.complex64(1)],
)
def test_refusals(value):
    with pytest.raises(InputError, match="is not one real number; give a single int or float"):
        real_number("x", value, "up")


def test_nan_stays():
    for value in (math.nan, np.float32("nan"), torch.tensor(math.nan), Decimal("sNaN")):
        assert math.isnan(real_number("x", value, "up"))


@pytest.mark.parametrize(
    "call",
    ["kl_inverse(0.1, 0.2)", "binary_kl(0.1, 0.2)", "gaussian_kl(1, 1, 1, 1)", "clopper_pearson(300, 10_000, 0.05)",
     "log_xi(100)", "hoeffding(0.1, 100, 0.05)", "empirical_bernstein(0.1, 0.01, 100, 0.05)"],
)  # fmt: skip
def test_a_number_needs_no_library_of_arrays(call):
    """mpmath rounds outward; torch, numpy and scipy would only make the import slow."""
    code = (
        f"import sys; from eigensam.bounds import {call.partition('(')[0]}; {call}\n"
        "print([m for m in ('torch', 'numpy', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
