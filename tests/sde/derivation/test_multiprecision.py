"""Truths: the same quantities in double precision by automatic differentiation, twice the digits, exact rationals."""

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import torch

from eigensam.ground import InputError
from eigensam.landscapes import FormulaLandscape, NetworkLandscape, Quadratic, TiltedTorus
from eigensam.sde import RULES, Rule, coefficients, derive, exact_increments, find_rule, truncate
from eigensam.sde.derivation.multiprecision import exact_step, sde_coefficients
from eigensam.sde.rules import derivative, direction, grad, hvp, inner, loss, mean, norm, parameter, rho, sign, unit
from eigensam.sde.rules.bindings import bind
from eigensam.sde.rules.nodes import Vector

ETA, RHO = 0.125, 0.3
X, Y = sympy.symbols("x y", real=True)
FORMULAS = FormulaLandscape(
    [X, Y],
    [
        sympy.exp(X / 3) + sympy.log(3 + Y**2) * X + sympy.pi * Y + 0.1 * X * Y**3,
        sympy.tanh(X + Y) + sympy.sqrt(4 + X**2) + 2 * X + sympy.erf(Y) / 5,
        sympy.atan(X * Y) + sympy.sqrt(2) * X - sympy.cos(Y) + sympy.E * Y,
    ],
)
LANDSCAPES = {
    "torus-1": TiltedTorus.default(1),
    "torus-2": TiltedTorus.default(2),
    "quadratic": Quadratic.random(2, size=2, seed=3),
    "members": Quadratic([[[1.0]], [[0.3]]], centres=[[0.1], [-7.0]]),
    "formulas": FORMULAS,
}
G, V = grad(), direction("v")
# What no rule of the library contains.
MORE = [
    Rule("loss", loss(rho * G) * G + grad(rho * loss() * unit(G)) / 7),
    Rule("means", grad(rho * mean(G) / mean(norm(G))) + mean(inner(V, V)) * G),
    Rule("mean-of-mean", grad(rho * mean(inner(mean(G), G) * unit(G)))),
    Rule("powers", inner(G, G) ** Fraction(1, 3) * grad(rho * G / (1 + norm(G)) ** 2)),
    Rule("derivatives", hvp(G) + derivative(V, rho * G, at=rho * V) + derivative(G, V, V) / 3),
    Rule("numbers", grad(rho * (sign(inner(mean(G), V)) * V - Fraction(2, 7) * unit(G)) / parameter("beta"))),
]


def points(dim):
    return torch.from_numpy(np.random.default_rng(dim).uniform(0.2, 2.5, (3, dim)))


def exactly(x):
    return np.array([[mpmath.mpf(xi) for xi in row] for row in x.tolist()], dtype=object)


def values_of(rule, dim):
    given = {"alpha": 0.2, "beta": 1.7, "v": torch.tensor([0.6, 0.8] if dim == 2 else [1.0], dtype=torch.float64)}
    return {name: given[name] for name in (*rule.parameters, *rule.directions)}


def floats(values):
    return np.asarray(values, dtype=np.float64)


def close(found, truth):
    truth = truth.numpy()
    np.testing.assert_allclose(floats(found), truth, rtol=0, atol=1e-13 * max(1, np.abs(truth).max()))


def evaluate(rule, f, x, digits=30):
    """``h_m`` in a number of digits."""
    with mpmath.workdps(digits):
        h = exact_step(rule, f, bind(rule, f, RHO, values_of(rule, f.dim)))
        return h(exactly(x), mpmath.mpf(RHO))


@pytest.mark.parametrize("rule", [*RULES.values(), *MORE], ids=lambda rule: rule.name)
@pytest.mark.parametrize("f", LANDSCAPES.values(), ids=LANDSCAPES)
def test_steps_against_double_precision(rule, f):
    x = points(f.dim)
    found = evaluate(rule, f, x)
    assert found.shape == (3, f.size, f.dim)
    close(found, exact_increments(f, rule, x[:, None], RHO, values_of(rule, f.dim)))


def check_coefficients(sde, f):
    x, values = points(f.dim), values_of(sde.rule, f.dim)
    with mpmath.workdps(30):
        drift, noise = sde_coefficients(sde, f, bind(sde.rule, f, RHO, values))(
            exactly(x), mpmath.mpf(RHO), mpmath.mpf(ETA)
        )
        assert abs(noise.sum(1)).max() < 1e-28  # centred
    truth = coefficients(f, sde, x[:, None], RHO, values)
    close(drift, truth.drift(ETA))
    close(noise, truth.columns())
    return drift, truth


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("name", LANDSCAPES)
def test_coefficients_against_double_precision(rule, name):
    """Also with the correction ``eta b_1``, without which the drift would be another."""
    f = LANDSCAPES[name]
    sde = derive(rule, 2, "2/3" if name in ("torus-1", "torus-2", "members") else 1)
    drift, truth = check_coefficients(sde, f)
    assert np.abs(floats(drift) - truth.increments.mean(-2).numpy()).max() > 1e-3


@pytest.mark.parametrize("rule", [MORE[0], MORE[1], MORE[5]], ids=lambda rule: rule.name)
def test_coefficients_of_other_rules(rule):
    check_coefficients(derive(rule, 1, "1/2"), LANDSCAPES["torus-2"])


def test_sdes_without_noise_and_without_expansion():
    check_coefficients(truncate(find_rule("sam"), "1/3", 3, covariance_order=0), LANDSCAPES["torus-2"])
    check_coefficients(truncate(find_rule("egr"), "1/2", 2), LANDSCAPES["quadratic"])


@pytest.mark.parametrize("name", ["sam", "eigen-sam", "cr-sam"])
@pytest.mark.parametrize("f", [TiltedTorus.default(2), FORMULAS], ids=["torus", "formulas"])
def test_precision_is_that_of_mpmath(name, f):
    """30 digits agree with 60 to 28, not to 40; the functions are made once, at the default precision."""
    rule = RULES[name]
    values = bind(rule, f, RHO, values_of(rule, 2))
    h = exact_step(rule, f, values)
    b = sde_coefficients(derive(rule, 1, "1/2"), f, values)
    x, found = points(2), {}
    for digits in (30, 60):
        with mpmath.workdps(digits):
            p, r = exactly(x), mpmath.mpf(1) / 3
            found[digits] = np.concatenate([part.ravel() for part in (h(p, r), *b(p, r, r))])
    with mpmath.workdps(70):
        off = abs(found[30] - found[60]) / abs(found[60])
        assert off.max() < 1e-28
        assert np.median(floats(off)) > 1e-40


def test_coefficients_are_the_decimals_that_are_printed():
    """0.1 is 1/10 and not the double next to it, which is off by 6e-18."""
    f = Quadratic([[0.1]], centres=[[0.3]])
    g = FormulaLandscape([X], [0.05 * X**2 - 0.03 * X])
    torus = TiltedTorus([[0.1]], [[1]], [[0.7]], [[0.2]])
    sgd = RULES["sgd"]
    with mpmath.workdps(50):
        p = np.array([[mpmath.mpf(2)]], dtype=object)
        for landscape in (f, g):
            for found in (
                exact_step(sgd, landscape, {})(p, mpmath.mpf(0))[0, 0, 0],
                sde_coefficients(truncate(sgd, 1, 1), landscape, {})(p, mpmath.mpf(0), mpmath.mpf(0))[0][0, 0],
            ):
                assert abs(found + mpmath.mpf(17) / 100) < 1e-48
                assert abs(found + mpmath.mpf(0.1) * (2 - mpmath.mpf(0.3))) > 1e-18  # wrong on purpose
        truth = -mpmath.mpf(1) / 10 + mpmath.mpf(7) / 10 * mpmath.sin(2 + mpmath.mpf(1) / 5)
        assert abs(exact_step(sgd, torus, {})(p, mpmath.mpf(0))[0, 0, 0] - truth) < 1e-48


def test_exact_numbers_of_rules():
    """A third of a gradient of 3 is 1 in every precision; ``2^(1/3)`` is the root of 2."""
    f = Quadratic([[3.0]], centres=[[0.0]])
    with mpmath.workdps(80):
        p = np.array([[mpmath.mpf(1)]], dtype=object)
        assert exact_step(Rule("third", G / 3), f, {})(p, 0)[0, 0, 0] == -1
        root = exact_step(Rule("root", (inner(G, G) / 9 + 1) ** Fraction(1, 3) * G), f, {})(p, 0)[0, 0, 0]
        assert abs(root**3 + 54) < 1e-76


def test_directions_have_length_1_in_every_precision():
    """As derivations assume: in double precision (0.6, 0.8) is longer than 1 by about 1e-17."""
    rule = Rule("length", inner(V, V) * G)
    f = Quadratic([[1.0, 0.0], [0.0, 1.0]], centres=[[0.0, 0.0]])
    for v in ([0.6, 0.8], [5**-0.5, 2 * 5**-0.5]):
        values = bind(rule, f, RHO, {"v": torch.tensor(v, dtype=torch.float64)})
        with mpmath.workdps(60):
            p = np.array([[mpmath.mpf(1), mpmath.mpf(2)]], dtype=object)
            h = exact_step(rule, f, values)(p, 0)[0, 0]
            assert max(abs(h - [-1, -2])) < 1e-58
            b, _ = sde_coefficients(truncate(Rule("v", V), 1, 1), f, values)(p, 0, 0)
            assert abs((b[0] ** 2).sum() - 1) < 1e-58


@pytest.mark.parametrize(
    ("formula", "at"), [(sympy.sqrt(X), -1), (sympy.log(X), 0), (1 / X, 0), (X ** sympy.Rational(4, 3), -2)]
)
def test_outside_a_formulas_domain_values_are_not_numbers(formula, at):
    """As in double precision, where they are NaN or infinite."""
    f, sgd = FormulaLandscape([X], [formula, X**2]), RULES["sgd"]
    p = np.array([[mpmath.mpf(at)]], dtype=object)
    h = exact_step(sgd, f, {})(p, 0)[0]
    assert mpmath.isnan(h[0, 0])
    assert h[1, 0] == -2 * at
    b, _ = sde_coefficients(truncate(sgd, 1, 1), f, {})(p, 0, 0)
    assert mpmath.isnan(b[0, 0])
    double = exact_increments(f, sgd, torch.tensor([[[float(at)]]], dtype=torch.float64), 0.0)
    assert not double[0, 0].isfinite().any()


def test_powers_and_losses_that_are_not_real():
    f = Quadratic([[1.0]], centres=[[0.0]])
    p = np.array([[mpmath.mpf(1)]], dtype=object)
    for rule in (Rule("root", (inner(G, G) - 2) ** Fraction(1, 2) * G), Rule("pole", G / (inner(G, G) - 1))):
        assert mpmath.isnan(exact_step(rule, f, {})(p, 0)[0, 0, 0])
    root = FormulaLandscape([X], [sympy.sqrt(X - 2)])
    assert mpmath.isnan(exact_step(Rule("loss", loss() * grad(rho * G)), root, {})(p, 0)[0, 0, 0])


def test_landscapes_without_formulas():
    f = NetworkLandscape.from_tensors(torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, *torch.ones(2, 4, 1))
    with pytest.raises(InputError, match="has no closed formula"):
        exact_step(RULES["sgd"], f, {})
    with pytest.raises(InputError, match="has no closed formula"):
        sde_coefficients(truncate(RULES["sgd"], 1, 1), f, {})


def test_expressions_that_are_not_of_the_language():
    @dataclass(frozen=True)
    class Momentum(Vector):
        """No node of the language."""

    h = exact_step(Rule("momentum", Momentum()), Quadratic([[1.0]], centres=[[0.0]]), {})
    with pytest.raises(TypeError, match="Momentum has no value"):
        h(np.array([[mpmath.mpf(1)]], dtype=object), mpmath.mpf(0))
