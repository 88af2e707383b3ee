"""Truncated series against sympy's."""

from fractions import Fraction

import pytest
import sympy

from eigensam.ground import InputError
from eigensam.sde.algebra.series import Series, partitions
from eigensam.sde.algebra.sums import Sum

RHO = sympy.Symbol("rho")


def series(*coefficients, lowest=0):
    order = lowest + len(coefficients) - 1
    return Series({lowest + k: Sum.number(c) for k, c in enumerate(coefficients)}, order).truncated(order)


def numbers(found):
    return [next(iter(found[k].terms.values()), 0) for k in range(found.order + 1)]


@pytest.mark.parametrize("q", [Fraction(1, 2), Fraction(-1, 2), -1, -3, 2, 0, Fraction(2, 3)])
def test_powers_against_sympy(q):
    found = series(1, 2, Fraction(-3, 4), 5, 7).power(q)
    function = (1 + 2 * RHO - sympy.Rational(3, 4) * RHO**2 + 5 * RHO**3 + 7 * RHO**4) ** sympy.Rational(q)
    truth = sympy.series(function, RHO, 0, 5).removeO()
    assert numbers(found) == [Fraction(str(truth.coeff(RHO, k))) for k in range(5)]


def test_a_product_is_known_as_far_as_its_factors():
    assert (series(1, 1, 1) * series(1, 1, 1, 1, 1)).order == 2
    assert (series(1, 1, 1, lowest=1) * series(1, 1, 1)).order == 3  # the error of the second is multiplied by rho
    pole = series(1, lowest=-1)
    assert (pole * series(0, 0, 3)).order == 1
    assert (series(1, 2) + series(1, 2, 3)).order == 1
    assert repr(series(1, 0, 2)) == "Series(1 + 2 rho^2 + O(rho^3))"


def test_no_power_at_a_zero_or_a_pole():
    with pytest.raises(InputError, match="vanishes at rho = 0"):
        series(0, 1).power(-1)
    with pytest.raises(InputError, match="pole at rho = 0"):
        series(1, 1, lowest=-1).power(Fraction(1, 2))


def test_partitions():
    assert [len(list(partitions(n, range(1, n + 1)))) for n in range(1, 9)] == [1, 2, 3, 5, 7, 11, 15, 22]
    assert all(sum(part * times for part, times in p.items()) == 7 for p in partitions(7, [1, 3, 4]))
    assert list(partitions(5, [2, 4])) == []
