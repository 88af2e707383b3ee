"""Identities as theorems of the engine, and once more on explicit landscapes."""

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, TiltedTorus, top_eigenpairs
from eigensam.sde import RULES, Rule
from eigensam.sde.algebra.sums import Sum
from eigensam.sde.derivation.identities import alignment_of, eigenvalue_gradient_identity, norm_gradients
from eigensam.sde.rules import alpha, direction, grad, inner, norm, rho, sign, unit

G, V = Sum.derivative(), Sum.direction("v")


@pytest.mark.parametrize("theorem", [*norm_gradients(), eigenvalue_gradient_identity()], ids=lambda t: t.statement)
def test_theorems_hold_and_wrong_ones_do_not(theorem):
    assert theorem.holds
    assert theorem.left
    assert not replace(theorem, right=theorem.right * Fraction(1, 2)).holds
    assert not replace(theorem, right=-theorem.right).holds


def test_the_proof_needs_its_assumptions():
    """Without |v| = 1 and Hv = lambda v the derivative of <v, Hv> keeps the terms with Dv."""
    v, w, a = Sum.direction("v"), Sum.direction("w"), Sum.direction("a")
    moved = Sum.derivative(v).inner(v).along(a) + Sum.derivative(w).inner(v) * 2
    assert moved != eigenvalue_gradient_identity().right
    assert moved - eigenvalue_gradient_identity().right == Sum.derivative(v).inner(w) * 2


def test_eigenvalue_gradient_in_two_dimensions():
    """lambda and v in closed form; T[v, v] - grad lambda vanishes identically in x and y."""
    x, y = sympy.symbols("x y", real=True)
    f = x**4 + 3 * x**2 * y + y**3 - x * y**2 / 2 + 5 * x**2
    hessian = sympy.hessian(f, (x, y))
    a, b, c = hessian[0, 0], hessian[0, 1], hessian[1, 1]
    root = sympy.Symbol("r", positive=True)  # sqrt((a - c)^2 + 4 b^2)
    square = (a - c) ** 2 + 4 * b**2
    value = (a + c + root) / 2
    v = sympy.Matrix([b, value - a])  # not normalised: |v|^2 = b^2 + (value - a)^2
    for coordinate in (x, y):
        third = (v.T * sympy.diff(hessian, coordinate) * v)[0] / v.dot(v)
        gradient = (sympy.diff(a + c, coordinate) + sympy.diff(square, coordinate) / (2 * root)) / 2
        numerator = sympy.numer(sympy.together(third - gradient))
        assert sympy.rem(sympy.expand(numerator), root**2 - sympy.expand(square), root) == 0
        wrong = sympy.numer(sympy.together(third - 2 * gradient))
        assert sympy.rem(sympy.expand(wrong), root**2 - sympy.expand(square), root) != 0


def test_eigenvalue_gradient_in_three_dimensions():
    """For a simple root of the characteristic polynomial p(l, x): grad l = -grad_x p / d_l p, and v v^T is adj(l - H)
    up to its trace; T[v, v] - grad l vanishes modulo p, identically in l at rational points."""
    x = sympy.symbols("x y z", real=True)
    f = x[0] ** 4 + x[0] * x[1] * x[2] + x[1] ** 3 * x[2] + 2 * x[2] ** 4 + x[0] ** 2 * x[1] + 3 * x[1] ** 2
    hessian = sympy.hessian(f, x)
    level = sympy.Symbol("l")
    at = dict(zip(x, (sympy.Rational(1, 2), sympy.Rational(-2, 3), sympy.Rational(3, 4)), strict=True))
    characteristic = (level * sympy.eye(3) - hessian).det()
    here = sympy.expand(characteristic.subs(at))
    assert sympy.discriminant(here, level) != 0  # simple eigenvalues
    adjugate = (level * sympy.eye(3) - hessian.subs(at)).adjugate()
    for coordinate in x:
        slope = sympy.diff(hessian, coordinate).subs(at)
        third = (adjugate * slope).trace()  # times 1 / tr adj: T[v, v]
        implicit = -sympy.diff(characteristic, coordinate).subs(at)
        difference = third * sympy.diff(here, level) - implicit * adjugate.trace()
        assert sympy.rem(sympy.expand(difference), here, level) == 0
        wrong = third * sympy.diff(here, level) - 2 * implicit * adjugate.trace()
        assert sympy.rem(sympy.expand(wrong), here, level) != 0


def test_eigenvalue_gradient_on_a_landscape():
    """The passes' T[v, v] against finite differences of lambda_1."""
    f = TiltedTorus.default(2)
    x = torch.tensor([0.3, 1.1], dtype=torch.float64)
    pairs = top_eigenpairs(f, x, k=1, tolerance=1e-12)
    found = f.third_product(x, pairs.vectors[0])
    step = 1e-5

    def value(y):
        return float(top_eigenpairs(f, y, k=1, tolerance=1e-12).values[0])

    for i, e in enumerate(torch.eye(2, dtype=torch.float64)):
        assert (value(x + step * e) - value(x - step * e)) / (2 * step) == pytest.approx(float(found[i]), abs=1e-6)


def test_what_eigen_sam_has_more_than_sam():
    """share(Eigen-SAM) - share(SAM) = 2 alpha s a (1 - a^2) + alpha^2 (1 - a^2)^2, a = <g,v>/|g|, s = sign<g,v>."""
    sam, eigen_sam = alignment_of(RULES["sam"]), alignment_of(RULES["eigen-sam"])
    a = G.inner(V) * G.inner(G).power(Fraction(-1, 2))
    s, al = G.inner(V).sign(), Sum.parameter("alpha")
    across = Sum.number(1) - a * a
    assert sam.share == a * a
    assert eigen_sam.share - sam.share == al * s * a * across * 2 + al * al * across * across
    assert eigen_sam.along == a + al * s * across
    # its perturbation is not a unit vector: |u|^2 = 1 + alpha^2 (1 - a^2)
    assert eigen_sam.perturbation.inner(eigen_sam.perturbation) == Sum.number(1) + al * al * across
    assert sam.holds
    assert eigen_sam.holds
    assert not replace(sam, mixed=sam.mixed * 2).holds
    assert not replace(sam, share=eigen_sam.share).holds


def test_decomposition_in_the_whole_eigenbasis():
    """T[u, u] = sum_i u_i^2 grad lambda_i + sum_{i != j} u_i u_j T[v_i, v_j], by finite differences."""
    x, y, z = sympy.symbols("x y z")
    f = FormulaLandscape([x, y, z], [x**4 + x * y * z + sympy.sin(y * z) + 3 * y**2 + z**3 + x**2 * y + 2 * x])
    point = torch.tensor([0.5, -0.7, 0.9], dtype=torch.float64)

    def basis(at):
        hessian = torch.stack([f.hessian_product(at, e) for e in torch.eye(3, dtype=torch.float64)])
        return torch.linalg.eigh(hessian)

    _, vectors = basis(point)
    g = f.gradient(point)
    u = g / g.norm()
    parts = vectors.T @ u
    step = 1e-5
    slopes = torch.stack(
        [
            (basis(point + step * e)[0] - basis(point - step * e)[0]) / (2 * step)
            for e in torch.eye(3, dtype=torch.float64)
        ]
    )  # slopes[:, i] = grad lambda_i
    total = slopes @ parts**2
    for i in range(3):
        for j in range(3):
            if i != j:
                pair = [(1.0, (vectors[:, i], vectors[:, j]))]
                total = total + parts[i] * parts[j] * f.contracted_gradient(point, pair)
    torch.testing.assert_close(f.third_product(point, u), total, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["sam-2-step", "cr-sam", "egr", "sgd"])
def test_no_single_perturbation(name):
    with pytest.raises(InputError, match=r"not T\[u,u\]/2 of one perturbation u"):
        alignment_of(RULES[name])


def test_alignment_of_a_rule_of_ones_own():
    u = unit(grad()) + alpha * sign(inner(grad(), direction("v"))) * direction("v")
    found = alignment_of(Rule("mine", grad(rho * u / (1 + norm(grad())))))
    assert found.holds
