"""Random rules and broken ones: each is derived rightly or refused, and what is printed is read back."""

import random
import re

import mpmath
import numpy as np
import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape
from eigensam.sde import SDE, Rule, derive, drift_and_covariance, expand, find_rule, in_coordinates, truncate
from eigensam.sde.algebra.effort import limited_effort
from eigensam.sde.derivation.multiprecision import exact_step, sde_coefficients
from eigensam.sde.derivation.proof_document import proof_document
from eigensam.sde.derivation.summary import latex_summary, summary
from eigensam.sde.derivation.torch_code import torch_code
from eigensam.sde.rules.latex_styles import RULE_LATEX

from .random_rules import random_rule

X, Y = sympy.symbols("x y", real=True)
LANDSCAPE = FormulaLandscape(
    [X, Y],
    [X**3 + 2 * X * Y**2 + 5 * X + 9 + Y**4, 3 * X**2 * Y + Y**4 + X + 7 * Y + 20, X * (X * Y**2 - Y) + 3 * Y + 15],
)
POINT = torch.tensor([0.5, -0.6], dtype=torch.float64)
UNIT = {"v": [0.6, 0.8], "w": [5 / 13, -12 / 13]}


def values_of(rule):
    directions = {name: torch.tensor(UNIT[name], dtype=torch.float64) for name in rule.directions}
    return dict.fromkeys(rule.parameters, 0.3) | directions


@pytest.mark.parametrize("seed", range(100, 130))
def test_random_rules_derive_print_and_are_read_back(seed):
    try:
        rule = find_rule(random_rule(seed))
        again = Rule("again", find_rule(str(rule.step)).step)
        assert str(again.step) == str(rule.step)
        sde = derive(rule, 1 + seed % 2, 1)
        assert expand(again, 1).coefficients == expand(rule, 1).coefficients
        shown = [show(sde) for show in (summary, latex_summary, SDE.to_dict, torch_code, proof_document)]
    except InputError:
        return
    assert all(shown)


def check_numbers(rule, sde):
    """The rule's exact step, not expanded, against the SDE to rho^2; torch against exact numbers. None: not real."""
    values, rho = values_of(rule), mpmath.mpf(10) ** -20
    with mpmath.workdps(150):
        point = np.array([[mpmath.mpf(p) for p in POINT.tolist()]])
        step = exact_step(rule, LANDSCAPE, values)(point, rho)[0]
        coefficients = sde_coefficients(sde, LANDSCAPE, values)
        drift, noise = (found[0] for found in coefficients(point, rho, mpmath.mpf(0)))
        if any(mpmath.isnan(entry) for entry in (*step.ravel(), *drift)):
            return None
        error = np.abs(step - drift - noise).max()
        drift, noise = (
            np.array(found[0], dtype=float) for found in coefficients(point, mpmath.mpf("0.01"), mpmath.mpf(0))
        )
    b, sigma = drift_and_covariance(LANDSCAPE, sde, POINT, 0.01, 0.0, values)
    size = np.abs(drift).max() + np.abs(noise).max()
    np.testing.assert_allclose(b.numpy().ravel(), drift, rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(sigma.numpy(), noise.T @ noise / len(noise), rtol=0, atol=1e-10 * size**2)
    return error / rho**3


@pytest.mark.parametrize("seed", range(40))
def test_random_rules_have_the_coefficients_of_their_exact_steps(seed):
    """The remainder is O(rho^3): divided by that, it is of the size of a derivative."""
    try:
        rule = find_rule(random_rule(seed))
        sde = truncate(rule, 1, 3)
    except InputError:
        return
    remainder = check_numbers(rule, sde)
    assert remainder is None or remainder < 1e15


def test_a_wrong_coefficient_would_be_found():
    rule = find_rule("grad(rho*unit(E[g] - g)*norm(E[g])**4)")
    assert check_numbers(rule, truncate(rule, 1, 3)) < 1e10
    assert check_numbers(rule, truncate(rule, 1, 2)) > 1e18
    other = find_rule("grad(rho*unit(E[g] - g)*norm(E[g])**2*(norm(E[g])**2 + 1e-12))")
    assert check_numbers(rule, truncate(other, 1, 3)) > 1e18


def test_broken_texts_are_refused():
    """Parts of a rule's text left out, exchanged or added."""
    draw = random.Random(4)
    parts = ["g", "(", ")", "[", "]", "E", "**", "*", "/", "-", ",", "1e", "1e5000", "1/0", "'a'", "at=", "None", "1j"]
    parts += [
        "~",
        "lambda:",
        "\n",
        "#",
        '"',
        "λ",
        ".x",
        "{}",
        "0x",
        "1_0",
        "parameter(",
        "x",
        "f''",
        "0**-1",
        "(-8)**(1/3)",
    ]
    read = 0
    for seed in range(600):
        tokens = re.findall(r"\w+|\*\*|.", random_rule(seed))
        for _ in range(draw.randint(1, 2)):
            at = draw.randrange(len(tokens))
            tokens[at : at + draw.randint(0, 1)] = draw.choice([[], [draw.choice(parts)]])
        try:
            rule = find_rule("".join(tokens))
        except InputError:
            continue
        read += 1
        rule.step.written(RULE_LATEX)
        assert str(find_rule(str(rule.step)).step) == str(rule.step)
    assert 20 < read < 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unit(grad(rho*" * 40 + "g" + "))" * 40, "parts, 162 deep; at most 500000 parts, 100 deep"),
        ("grad(rho*" * 60 + "g" + ")" * 60, "181 parts, 121 deep"),
        ("g" + "+g" * 2000, "nested too deeply"),
        ("g*norm(E[unit(g)])**99", "independent minibatches"),
    ],
)
def test_what_would_not_end_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        derive(find_rule(text), 1, 1)


def test_work_is_limited_and_given_back():
    with pytest.raises(InputError, match="more than 2000 terms"), limited_effort(2000):
        expand(find_rule("(1 + norm(g) + inner(g, v) + loss())**60*(alpha - loss())**60*g"), 0)
    with (
        pytest.raises(InputError, match="more than 200 terms in all; ask for a lower weak order or a larger rho"),
        limited_effort(200),
    ):
        derive(find_rule("sam"), 2, "2/3")
    assert derive(find_rule("sam"), 2, "2/3").weak_order == 2


def test_coefficients_that_no_float_holds_are_refused():
    """1e-200, squared, is 0 as a float."""
    for number, size in (("1e-200", "-400"), ("1e200", r"\+400")):
        sde = derive(find_rule(f"norm({number}*g)**2*g"), 1, 1)
        with pytest.raises(InputError, match=f"a coefficient of about 1e{size} is not a number that a float can hold"):
            torch_code(sde)


@pytest.mark.parametrize("name", ["sqrt", "mpf", "sum", "numpy", "values", "pi", "I"])
def test_a_parameter_may_have_the_name_of_a_function(name):
    """In generated code it had hidden that function."""
    rule = find_rule(f"grad(rho*unit(g))*parameter('{name}')**(1/2)")
    sde = derive(rule, 1, "1/2")
    values, truth = {name: 0.3}, derive(find_rule("grad(rho*unit(g))*alpha**(1/2)"), 1, "1/2")
    expected = drift_and_covariance(LANDSCAPE, truth, POINT, 0.1, 0.1, {"alpha": 0.3})[0].numpy()
    found = in_coordinates(sde, LANDSCAPE).compile("numpy")(POINT.numpy(), 0.1, 0.1, values)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    drift, _ = sde_coefficients(sde, LANDSCAPE, values)(np.array([POINT.tolist()]), mpmath.mpf(0.1), mpmath.mpf(0.1))
    np.testing.assert_allclose(drift[0].astype(float), expected, rtol=1e-12)
