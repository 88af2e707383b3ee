"""One step against truths of its own: the series of ``e^{eta L}``, L acting on polynomials; SAM's step by hand."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy
import torch

from eigensam.landscapes import FormulaLandscape, TiltedTorus
from eigensam.sde import RULES, derive, in_coordinates, truncate, verify_one_step
from eigensam.sde.derivation.multiprecision import sde_coefficients
from eigensam.sde.simulation.splitting import splitting_mean
from eigensam.sde.weak_order.plans import OneStepPlan

F64 = torch.float64
SAM, USAM = RULES["sam"], RULES["usam"]
TORUS = TiltedTorus.default(2)
SMALL = [2.0**-40, 2.0**-44, 2.0**-48]
TWO = SMALL[1:]  # enough where the slope is the expected one
POINT = torch.tensor([[1.4, -0.8]], dtype=F64)
X = sympy.symbols("x_1 x_2", real=True)


def values_of(rule, dim=2):
    v = torch.tensor([0.6, 0.8, 0.0, 0.0][:dim] if dim > 1 else [1.0], dtype=F64)
    given = {"alpha": 0.2, "v": v}
    return {name: given[name] for name in (*rule.parameters, *rule.directions)}


def last_slope(etas, errors):
    return float(mpmath.log(errors[-2] / errors[-1]) / mpmath.log(etas[-2] / etas[-1]))


# -- the semigroup and the step, written out


class Series:
    """``sum_{n <= 4} eta^n L^n phi / n!`` at a point, with ``L = b . grad + (eta / 2) Sigma : Hessian``.

    Coefficients in coordinates are interpolated by polynomials of degree 6 at points that are ``10^-30`` apart, in 300
    digits; then L acts on polynomials. L^n sees derivatives of the coefficients up to order ``2 (n - 1)``.
    """

    degree, spacing = 6, mpmath.mpf(10) ** -30

    def __init__(self, sde, landscape):
        self.found = in_coordinates(sde, landscape)
        self.dim = landscape.dim
        columns = [self.found.drift, *self.found.noise]
        self.columns = len(columns)
        self.function = sympy.lambdify(self.found.arguments, [e for c in columns for e in c], "mpmath", cse=True)
        nodes = range(-self.degree // 2, self.degree // 2 + 1)
        inverse = sympy.Matrix([[sympy.Integer(k) ** i for i in range(self.degree + 1)] for k in nodes]).inv()
        self.nodes, self.inverse = nodes, inverse.tolist()

    def taylor(self, function, x):
        """Coefficients of each output in offsets from x, arrays with an axis per coordinate."""
        axes = [[xi + k * self.spacing for k in self.nodes] for xi in x]
        shape = [len(self.nodes)] * self.dim
        values = np.array([function(*point) for point in itertools.product(*axes)], dtype=object).T
        inverse = np.array(
            [[mpmath.mpf(e.p) / e.q / self.spacing**i for e in row] for i, row in enumerate(self.inverse)], dtype=object
        )
        result = []
        for output in values:
            array = output.reshape(shape)
            for axis in range(self.dim):
                array = np.moveaxis(np.tensordot(inverse, array, ([1], [axis])), 0, axis)
            result.append(array)
        return result

    def product(self, a, b):
        total = 0 * a
        for i in np.ndindex(a.shape):
            if a[i] != 0 and sum(i) <= self.degree:
                for j in np.ndindex(b.shape):
                    if sum(i) + sum(j) <= self.degree:
                        total[tuple(p + q for p, q in zip(i, j, strict=True))] += a[i] * b[j]
        return total

    def partial(self, a, axis):
        a = np.moveaxis(a, axis, 0)
        shifted = [k * a[k] for k in range(1, len(a))]
        return np.moveaxis(np.stack([*shifted, 0 * a[0]]), 0, axis)

    def __call__(self, phi, x, rho, eta):
        with mpmath.workdps(300):
            found = self.taylor(lambda *point: self.function(*point, rho, eta), x)
            found = [found[k : k + self.dim] for k in range(0, len(found), self.dim)]
            drift, noise = found[0], found[1:]
            (term,) = self.taylor(lambda *point: [phi(point)], x)
            pairs = list(itertools.combinations_with_replacement(range(self.dim), 2))
            sigma = {(i, j): sum(self.product(c[i], c[j]) for c in noise) / len(noise) for i, j in pairs}
            total = term[(0,) * self.dim]
            for n in range(1, 5):
                after = sum(self.product(drift[i], self.partial(term, i)) for i in range(self.dim))
                for i, j in pairs:
                    second = self.partial(self.partial(term, i), j)
                    after = after + eta / (2 if i == j else 1) * self.product(sigma[i, j], second)
                term = after * eta / n
                total += term[(0,) * self.dim]
            return total


def radius(sde, scale, eta):
    return mpmath.mpf(scale) * mpmath.power(eta, mpmath.mpf(sde.rho_exponent.numerator) / sde.rho_exponent.denominator)


def test_the_series_of_a_solvable_sde():
    """An Ornstein-Uhlenbeck process: ``E x^2 = (x e^{-eta})^2 + eta (1 - e^{-2 eta}) / 2``, up to eta^5."""
    f = FormulaLandscape(X[:1], [(X[0] - 1) ** 2 / 2, (X[0] + 1) ** 2 / 2])
    with mpmath.workdps(80):
        x, eta = mpmath.mpf(3) / 2, mpmath.mpf(2) ** -20
        found = Series(truncate(RULES["sgd"], 1, 1), f)(lambda y: y[0] ** 2, [x], mpmath.mpf(0), eta)
        truth = (x * mpmath.exp(-eta)) ** 2 + eta * (1 - mpmath.exp(-2 * eta)) / 2
        assert abs(found - truth) < 10 * eta**5


def cubic(x):
    return x[0] ** 2 * x[-1] - x[-1] / 3 + x[0]


@pytest.mark.parametrize(
    ("name", "order", "beta", "dim"),
    [("sgd", 2, 1, 1), ("usam", 2, "2/3", 1), ("sam", 1, "1/3", 1), ("sgd", 2, 1, 2), ("sam", 2, "2/3", 2)],
)
def test_semigroup_against_the_series_of_its_generator(name, order, beta, dim):
    """They differ by ``O(eta^4)``, whatever the SDE; with half of the noise, wrong on purpose, by ``O(eta^2)``."""
    landscape, sde = TiltedTorus.default(dim), derive(RULES[name], order, beta)
    truth = Series(sde, landscape)
    etas = [mpmath.mpf(2) ** -k for k in (12, 16, 20)]
    errors, wrong = [], []
    with mpmath.workdps(90):
        found = sde_coefficients(sde, landscape, {})
        x = np.array([[mpmath.mpf(3) / 4, -mpmath.mpf(2) / 5][:dim]], dtype=object)
        for eta in etas:
            r = radius(sde, 0.8, eta)
            right = truth(cubic, x[0], r, eta)
            for share, into in ((1, errors), (mpmath.sqrt(0.5), wrong)):
                ours = splitting_mean(
                    lambda y, r=r, eta=eta: found(y, r, eta)[0],
                    lambda y, r=r, eta=eta, share=share: found(y, r, eta)[1] * share,
                    x,
                    lambda y: cubic(y.T)[:, None],
                    eta,
                )
                into.append(abs(ours[0, 0] - right))
    assert last_slope(etas, errors) >= 3.99
    assert errors[-1] > 1e-40
    assert last_slope(etas, wrong) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(("order", "beta"), [(1, "1/3"), (1, "1/2"), (2, 1)])
def test_errors_without_the_packages_evaluation(order, beta):
    """SAM in two dimensions, its step written by hand: ``x - eta grad f(x + rho g / |g|)``."""
    sde, f = derive(SAM, order, beta), TORUS
    phi = lambda x: x[0] * x[1] + x[0]  # noqa: E731
    truth, gradients = Series(sde, f), []
    for formula in f.formulas(X):
        gradients.append([sympy.lambdify(X, sympy.diff(formula, x), "mpmath") for x in X])
    etas, errors = [2.0**-20, 2.0**-24], []
    with mpmath.workdps(60):
        p = [mpmath.mpf(1.25), mpmath.mpf(-0.5)]
        for eta in map(mpmath.mpf, etas):
            r, total = radius(sde, 0.8, eta), mpmath.mpf(0)
            for g in gradients:
                here = [gi(*p) for gi in g]
                length = mpmath.sqrt(here[0] ** 2 + here[1] ** 2)
                there = [pi + r * gi / length for pi, gi in zip(p, here, strict=True)]
                total += phi([pi - eta * gi(*there) for pi, gi in zip(p, g, strict=True)]) / len(gradients)
            errors.append(float(abs(total - truth(phi, p, r, eta))))
    result = verify_one_step(
        sde,
        landscape=f,
        points=torch.tensor([[1.25, -0.5]], dtype=F64),
        etas=etas,
        plan=OneStepPlan(test_functions=lambda x: (x[:, 0] * x[:, 1] + x[:, 0])[:, None]),
    )
    assert result.errors == pytest.approx(errors, rel=1e-5)
