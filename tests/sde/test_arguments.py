"""Text of the command line as exponents and values of symbols."""

import re
from fractions import Fraction

import pytest
import torch

from eigensam.ground import InputError
from eigensam.sde import find_rule
from eigensam.sde.arguments import read_exponent, read_sde, read_values


def test_exponents_are_exact():
    assert [read_exponent(text) for text in ("1/3", "0.5", "2")] == [Fraction(1, 3), Fraction(1, 2), Fraction(2)]
    with pytest.raises(InputError, match=r"--rho-exponent .pi. is not rational; give a fraction"):
        read_exponent("pi")


def test_an_sde_is_of_an_order_or_has_powers_of_rho():
    sam, beta = find_rule("sam"), Fraction(1, 3)
    assert read_sde(sam, None, None, beta).weak_order == 1
    assert max(read_sde(sam, None, 2, beta).drift) == 1
    assert read_sde(sam, 2, None, Fraction(2, 3)).weak_order == 2
    with pytest.raises(InputError, match="--weak-order chooses the powers of rho, --drift-order gives them: use one"):
        read_sde(sam, 1, 2, beta)


def test_directions_become_unit_vectors():
    values = read_values(find_rule("eigen-sam"), ["alpha=1/5", "v=3,4"])
    assert values["alpha"] == 0.2
    assert torch.equal(values["v"], torch.tensor([0.6, 0.8], dtype=torch.float64))
    (alone,) = read_values(find_rule("eigen-sam"), ["v=-2"]).values()
    assert alone.tolist() == [-1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpha=x", "--value alpha 'x' is not a number"),
        ("alpha", "--value alpha '' is not a number"),
        ("alpha=1,2", "--value alpha=1,2: rule 'cr-sam' has no direction alpha; give one number"),
    ],
)
def test_refusals(text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_values(find_rule("cr-sam"), [text])
