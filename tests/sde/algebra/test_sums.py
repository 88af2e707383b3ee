"""The algebra: canonical forms against brute-force numbers, expectations, derivatives, powers and signs."""

import itertools
import random
from fractions import Fraction

import pytest
import sympy

from eigensam.ground import InputError
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.algebra.terms import NUMBER, number_power
from eigensam.sde.algebra.trees import GAMMA, LOSS, MEAN, SLOT, attach, direction, fill, loss, rootings, scalar, slots
from eigensam.sde.derivation.coordinates import Components

G = Sum.derivative()
V = Sum.direction("v")
F = Sum.derivative(sample=MEAN)
HALF = Fraction(1, 2)

X = sympy.symbols("x_1 x_2", real=True)
LOSSES = [X[0] ** 3 + 2 * X[0] * X[1] ** 2 + 5 * X[0], 3 * X[0] ** 2 * X[1] + X[1] ** 4 + X[0] + 7 * X[1]]
AT = dict(zip(X, (sympy.Rational(1, 2), sympy.Rational(-2, 3)), strict=True))
DIRECTION = {"v": (sympy.Rational(3, 5), sympy.Rational(4, 5)), "w": (sympy.Rational(5, 13), sympy.Rational(-12, 13))}


def hessian(f):
    return sympy.hessian(f, X)


def members(function):
    """A function of (f, grad, Hessian) of each member, with numbers."""
    result = []
    for f in LOSSES:
        gradient = sympy.Matrix([sympy.diff(f, x) for x in X])
        result.append(function(f, gradient, hessian(f)))
    return result


def value(expression):
    """An expression's components, once per member (or once), by the coordinates."""
    components = Components(X, LOSSES)
    at = dict(AT)
    for name, vector in DIRECTION.items():
        at |= dict(zip(components.direction(name), vector, strict=True))
    if expression.is_vector:
        return [[sympy.expand(c.subs(at)) for c in v] for v in components.vector(expression)]
    return [sympy.expand(c.subs(at)) for c in components.scalar(expression)]


def test_a_scalar_tree_has_one_canonical_rooting():
    hg = loss(GAMMA, loss(GAMMA))
    tree = attach(loss(GAMMA, hg, direction("v")), hg)
    assert len({scalar(t) for t in rootings(tree)}) == 1
    assert scalar(tree) != scalar(attach(loss(GAMMA, hg, direction("v")), loss(GAMMA)))


def test_slots_differentiate_every_node_but_directions():
    tree = loss(GAMMA, loss(MEAN), direction("v"))
    assert len(list(slots(tree))) == 2
    assert fill(next(slots(tree)), direction("w")) == loss(GAMMA, loss(MEAN), direction("v"), direction("w"))
    assert SLOT not in fill(next(slots(tree)), direction("w"))


def test_symmetric_arguments_are_sorted_and_collected():
    assert Sum.derivative(G, V) == Sum.derivative(V, G)
    assert Sum.derivative(G + V, G + V) == Sum.derivative(G, G) + Sum.derivative(G, V) * 2 + Sum.derivative(V, V)
    assert not Sum.derivative(G, V) - Sum.derivative(V, G)
    assert hash(Sum.derivative(G, V)) == hash(Sum.derivative(V, G))
    hg = Sum.derivative(G)
    assert hg.inner(hg) == Sum.derivative(hg).inner(G)


@pytest.mark.parametrize("seed", range(12))
def test_random_products_and_expectations_against_brute_force(seed):
    """Random expressions, evaluated through their canonical form and directly over all pairs of members."""
    draw = random.Random(seed)

    def build(depth):
        """(Sum, function of the member's numbers) of a vector."""
        kind = draw.choice(["g", "v", "H", "scaled", "mean"] if depth else ["g", "v"])
        if kind == "g":
            return G, lambda m: members(lambda f, g, h: g)[m]
        if kind == "v":
            return V, lambda m: sympy.Matrix(DIRECTION["v"])
        inner, direct = build(depth - 1)
        if kind == "H":
            return Sum.derivative(inner), lambda m: members(lambda f, g, h: h)[m] * direct(m)
        if kind == "mean":
            return inner.mean(), lambda m: sum((direct(i) for i in range(2)), sympy.zeros(2, 1)) / 2
        other, direct_other = build(depth - 1)
        return inner * other.inner(G), lambda m: direct(m) * direct_other(m).dot(members(lambda f, g, h: g)[m])

    expression, direct = build(4)
    for outer in (expression, expression.mean(), expression * expression.mean().inner(expression)):
        found = value(outer)
        for m in range(2):
            if outer == expression:
                truth = direct(m)
            elif outer == expression.mean():
                truth = sum((direct(i) for i in range(2)), sympy.zeros(2, 1)) / 2
            else:
                mean = sum((direct(i) for i in range(2)), sympy.zeros(2, 1)) / 2
                truth = direct(m) * mean.dot(direct(m))
            assert found[m % len(found)] == list(truth.subs(AT))


def test_a_linear_expectation_is_the_mean_loss():
    assert G.mean() == F
    assert Sum.derivative(V).mean() == Sum.derivative(V, sample=MEAN)
    assert G.inner(V).mean() == F.inner(V)
    assert G.inner(G).mean() != F.inner(F)
    assert F.inner(G.inner(G).mean() * V) == G.inner(G).mean() * F.inner(V)


def test_factors_that_become_equal_by_averaging_are_merged():
    assert (G.inner(V) * F.inner(V)).mean() == F.inner(V).power(2)
    projection = G * F.inner(V) * F.inner(V).power(-1)
    assert projection.mean() == F
    along = F * (G.inner(F) * F.inner(F).power(-1))  # the gradient's projection on the mean gradient
    assert along.mean() == F


def test_products_of_expectations_are_not_expectations_of_products():
    squared = G.inner(G).mean()
    assert squared * squared != (G.inner(G) * G.inner(G)).mean()
    a, b = members(lambda f, g, h: g.dot(g).subs(AT))
    assert value(squared * squared) == [((a + b) / 2) ** 2]
    assert value((G.inner(G) * G.inner(G)).mean()) == [(a**2 + b**2) / 2]


def test_expectations_do_not_depend_on_the_order_of_their_names():
    a, b = Sum.derivative(G).mean(), (G.inner(V) * G).mean()
    assert a.inner(b) == b.inner(a)
    assert (a.inner(b) * F) == (b.inner(a) * F)


def test_units():
    assert V.inner(V) == Sum.number(1)
    assert V.inner(Sum.direction("w")) != Sum.number(1)


def test_powers():
    norm = G.inner(G).power(HALF)
    assert norm * norm == G.inner(G)
    assert norm.power(-1) * norm == Sum.number(1)
    assert Sum.number(4).power(HALF) == Sum.number(2)
    assert Sum.number(2).power(HALF) * Sum.number(2).power(HALF) == Sum.number(2)
    assert Sum.number(Fraction(8, 9)).power(Fraction(-1, 2)) * Sum.number(Fraction(8, 9)).power(HALF) == Sum.number(1)
    assert (G.inner(G) * 4).power(HALF) == norm * 2
    assert Sum.number(-2).power(-3) == Sum.number(Fraction(-1, 8))
    # <g, v>^2 is a square, but its root is not <g, v>, which may be negative
    assert (G.inner(V) * G.inner(V)).power(HALF) != G.inner(V)
    with pytest.raises(InputError, match="power 1/2 of -2, which is negative"):
        Sum.number(-2).power(HALF)
    with pytest.raises(InputError, match="0 to the power -1"):
        Sum().power(-1)
    with pytest.raises(TypeError, match="product of two vectors"):
        G * G
    with pytest.raises(TypeError, match="needs two vectors"):
        G.inner(G.inner(G))
    with pytest.raises(TypeError, match="scalar where a vector"):
        Sum.derivative(G.inner(G))


def test_power_of_a_sum():
    s = G.inner(G) + G.inner(V) * 2 + Sum.number(3)
    root = s.power(HALF)
    assert root * root == s
    assert root.power(2) == s
    assert (s * 4).power(HALF) == root * 2
    (found,) = value(root.mean())
    assert sympy.simplify(found - sum(sympy.sqrt(v) for v in value(s)) / 2) == 0


def test_expectations_inside_a_power_keep_their_scope():
    """``E[ g sqrt(<g, E[Hg]> + E<g, g>^2 + 9)]``: one minibatch outside, others inside."""
    inside = G.inner(Sum.derivative(G).mean()) + (G.inner(G) * G.inner(G)).mean() + Sum.number(900)
    expression = (G * inside.power(HALF)).mean()
    numbers = members(lambda f, g, h: (g.subs(AT), (h * g).subs(AT)))
    mean_hg = (numbers[0][1] + numbers[1][1]) / 2
    fourth = (numbers[0][0].dot(numbers[0][0]) ** 2 + numbers[1][0].dot(numbers[1][0]) ** 2) / 2
    truth = sum((g * sympy.sqrt(g.dot(mean_hg) + fourth + 900) for g, _ in numbers), sympy.zeros(2, 1)) / 2
    (found,) = value(expression)
    assert [sympy.simplify(a - b) for a, b in zip(found, truth, strict=True)] == [0, 0]
    # its derivative, along a vector with an expectation of its own, against the derivative of the coordinates
    along = (Sum.derivative(G) * G.inner(V)).mean()
    components = Components(X, LOSSES)
    (vector,), (a,) = components.vector(expression), components.vector(along)
    (ours,) = components.vector(expression.along(along))
    for component, found_component in zip(vector, ours, strict=True):
        truth = sum(sympy.diff(component, x) * ai for x, ai in zip(X, a, strict=True))
        at = AT | dict(zip(components.direction("v"), DIRECTION["v"], strict=True))
        assert abs(float((found_component - truth).subs(at).evalf(30)) / float(truth.subs(at))) < 1e-20


def test_signs():
    s = G.inner(V)
    assert s.sign() * s.sign() == Sum.number(1)
    assert (-s).sign() == -s.sign()
    assert (s * 3 * G.inner(G)).sign() == s.sign()
    assert Sum.number(-5).sign() == Sum.number(-1)
    assert (s * s).sign() == Sum.number(1)
    assert (s * s * s).sign() == s.sign()
    assert not s.sign().gradient()
    assert (s + Sum.number(1)).sign() == -(-s - Sum.number(1)).sign()
    assert value((s - Sum.number(100)).sign()) == [-1, -1]
    assert value(F.inner(V).sign() * G) == value(G)
    with pytest.raises(InputError, match="the sign of 0"):
        Sum().sign()


@pytest.mark.parametrize(
    "expression",
    [
        G.inner(G),
        G.inner(G).power(Fraction(-3, 2)) * Sum.derivative(G).inner(V),
        Sum.full_contraction((LOSS, GAMMA, ())).power(-1),
        (G.inner(G) + G.inner(V)).power(Fraction(1, 3)),
        F.inner(G) * G.inner(V).mean(),
        (G.inner(G).power(HALF)).mean() * G.inner(V),
    ],
    ids=str,
)
def test_gradients_against_sympy(expression):
    components = Components(X, LOSSES)
    scalars, vectors = components.scalar(expression), components.vector(expression.gradient())
    at = AT | dict(zip(components.direction("v"), DIRECTION["v"], strict=True))
    for m, x in itertools.product(range(len(scalars)), range(2)):
        difference = (sympy.diff(scalars[m], X[x]) - vectors[m % len(vectors)][x]).subs(at)
        assert abs(difference.evalf(30)) < 1e-20


def test_smoothness_is_the_highest_derivative():
    assert Sum.derivative(Sum.derivative(G, G)).smoothness == 3
    assert G.inner(G).smoothness == 1
    assert Sum.derivative(G).inner(G).smoothness == 2
    assert (V * (Sum.derivative(G, V).inner(G) + Sum.number(1)).power(HALF)).smoothness == 3
    assert V.smoothness == 0


def test_replaced():
    tree = scalar(attach(loss(GAMMA), direction("v")))
    found = (G.inner(V).power(2) * G).replaced(lambda t: Sum.parameter("a") + Sum.number(1) if t == tree else None)
    a = Sum.parameter("a")
    assert found == G * (a * a + a * 2 + Sum.number(1))


def test_roots_of_numbers_have_prime_bases():
    """As sympy factors them; two large primes stay one base, since nobody writes such a number by hand."""
    large = 10007 * 10009
    for number in (*range(2, 200), 2**90, 3**50 * 7, 9973**2, 99991**2, 10**30 + 57, large, 6 * large):
        found = sympy.factorint(number, limit=10_000, use_rho=False, use_pm1=False, use_ecm=False)
        expected = sorted(((NUMBER, int(p)), Fraction(int(k), 2)) for p, k in found.items())
        assert sorted(number_power(Fraction(number), Fraction(1, 2))) == expected
