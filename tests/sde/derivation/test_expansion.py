"""Expansions against exact power series of the composed rule, and what has none."""

from fractions import Fraction

import pytest
import sympy

from eigensam.ground import InputError
from eigensam.sde import RULES, Rule, expand, find_rule, multi_step_sam
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.algebra.trees import GAMMA, LOSS
from eigensam.sde.derivation.coordinates import Components
from eigensam.sde.rules import alpha, direction, grad, hvp, inner, loss, mean, norm, parameter, rho, sign, unit

from .composed import ORDER, Composed, random_polynomial

G = grad()
VALUES = {1: [sympy.Integer(1)], 2: [sympy.Rational(3, 5), sympy.Rational(4, 5)]}
VALUES[3] = [sympy.Rational(2, 3), sympy.Rational(-1, 3), sympy.Rational(2, 3)]


def setting(dim, seed):
    symbols = sympy.symbols([f"x_{i + 1}" for i in range(dim)], real=True)
    losses = [random_polynomial(symbols, 5, 10 * seed + m) for m in range(2)]
    point = [sympy.Rational(seed + i + 1, 2 * i + 3) for i in range(dim)]
    return symbols, losses, point


def ours(rule, symbols, losses, point, values):
    """The engine's coefficients of rho^0 .. rho^4 at the point, per member."""
    components = Components(symbols, losses)
    at = dict(zip(symbols, point, strict=True)) | {components.parameter("alpha"): values["alpha"]}
    at |= dict(zip(components.direction("v"), values["v"], strict=True))
    expansion = expand(rule, ORDER - 1)
    result = []
    for k in range(ORDER):
        members = components.vector(expansion[k])
        result.append([[sympy.expand(c.subs(at)) for c in members[m % len(members)]] for m in range(len(losses))])
    return [[result[k][m] for k in range(ORDER)] for m in range(len(losses))]


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", list(RULES))
def test_every_coefficient_is_that_of_the_composed_rule(name, dim):
    rule = find_rule(name)
    symbols, losses, point = setting(dim, seed=sum(map(ord, name)) % 7)
    values = {"alpha": sympy.Rational(2, 7), "v": VALUES[dim]}
    truth = Composed(symbols, losses, point, values).coefficients(rule.step)
    assert ours(rule, symbols, losses, point, values) == truth
    assert any(any(c != 0 for c in truth[0][k]) for k in (1, 2)) or name == "sgd"


def test_the_comparison_can_fail():
    """One rule's coefficients against another's: only rho^0 agrees."""
    symbols, losses, point = setting(2, seed=1)
    values = {"alpha": sympy.Rational(2, 7), "v": VALUES[2]}
    truth = Composed(symbols, losses, point, values).coefficients(RULES["usam"].step)
    found = ours(RULES["sam"], symbols, losses, point, values)
    assert [found[0][k] == truth[0][k] for k in range(ORDER)] == [True, False, False, False, False]


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_polynomial_identity_in_x(dim):
    """USAM's coefficients are polynomials in x: equal as polynomials, not at points only."""
    symbols, losses, _ = setting(dim, seed=2)
    losses = [random_polynomial(symbols, 3, seed) for seed in (1, 2)]
    components, expansion = Components(symbols, losses), expand(RULES["usam"], 4)
    radius = sympy.Symbol("rho")
    for m, f in enumerate(losses):
        gradient = [sympy.diff(f, x) for x in symbols]
        moved = {x: x + radius * gi for x, gi in zip(symbols, gradient, strict=True)}
        for j in range(dim):
            exact = sympy.Poly(-gradient[j].subs(moved, simultaneous=True), radius, *symbols)
            for k in range(5):
                truth = sympy.Poly(exact.as_expr(), radius).coeff_monomial(radius**k)
                assert (
                    sympy.expand(components.vector(expansion[k])[m % 2][j] - truth) == 0 if expansion[k] else truth == 0
                )


def test_rules_beyond_the_library():
    """Laurent series (a second difference divided by rho^2 is T[g, g]); losses and Hessians at shifted points."""
    second = Rule("second", (grad(rho * G) + grad(-rho * G) - 2 * G) / rho**2)
    g = Sum.derivative()
    assert expand(second, 1)[0] == -Sum.derivative(g, g)
    assert not expand(second, 1)[1]
    quotient = (loss(rho * G) + loss(-rho * G) - 2 * loss()) / rho**2
    assert expand(Rule("q", quotient * G), 0)[0] == -(g * Sum.derivative(g).inner(g))
    assert expand(Rule("log", G / loss()), 0)[0] == -(g * Sum.full_contraction((LOSS, GAMMA, ())).power(-1))
    nested = Rule("hvp at a shift", hvp(G, at=rho * G))
    assert expand(nested, 1)[1] == -Sum.derivative(g, g)
    assert expand(Rule("series argument", hvp(grad(rho * G))), 1)[1] == -Sum.derivative(Sum.derivative(g))


def test_common_parts_are_expanded_once():
    """Without sharing, six nested ascent steps would take 3^6 times as long."""
    assert len(expand(multi_step_sam(6), 2)[2].terms) == 3


@pytest.mark.parametrize(
    ("direction_", "message"),
    [
        (G + unit(rho * G), r"norm\(rho\*g\) vanishes at rho = 0.* take rho out of the norm"),
        (G + unit(grad(rho * G) - G), r"norm\(grad\(rho\*g\) - g\) vanishes at rho = 0"),
        (G / (rho + rho**2), r"rho \+ rho\*\*2, to the power -1, vanishes at rho = 0"),
        (G / rho, r"the step grows like rho\^-1"),
        (grad(G), r"the gradient's shift g does not vanish at rho = 0.* multiply it by rho"),
        (grad(G / rho), "the gradient's shift .* does not vanish"),
        (sign(rho * inner(G, direction("v"))) * G, "its argument vanishes at rho = 0"),
        (hvp(G / rho), "argument has a pole"),
        (grad(rho * G) / rho**40, r"divides by rho\^40 in all; at most rho\^12"),
        (G / (inner(G, G) - norm(G) ** 2), r"to the power -1, vanishes at rho = 0"),
    ],
)
def test_no_expansion(direction_, message):
    with pytest.raises(InputError, match=f"rule 'r': .*{message}"):
        expand(Rule("r", direction_), 2)


def test_negative_order():
    with pytest.raises(InputError, match="expansion to rho\\^-1"):
        expand(RULES["sam"], -1)


def test_norm_of_a_sum_and_its_derivative():
    """A norm that cannot be multiplied out, expanded and differentiated, against the composed rule and finite sums."""
    u = G + alpha * direction("v")
    rule = Rule("normalised", grad(rho * unit(u)))
    symbols = sympy.symbols("x_1", real=True)
    values = {"alpha": sympy.Rational(2, 7), "v": [sympy.Integer(1)]}
    losses, point = [random_polynomial([symbols], 4, 3)], [sympy.Rational(1, 3)]
    truth = Composed([symbols], losses, point, values).coefficients(rule.step)
    assert ours(rule, [symbols], losses, point, values) == truth
    assert expand(Rule("m", grad(rho * unit(mean(u)))), 1)[1]
    assert expand(Rule("p", grad(rho * parameter("tau") * G)), 1)[1] == -Sum.derivative(
        Sum.derivative()
    ) * Sum.parameter("tau") * Fraction(1)
