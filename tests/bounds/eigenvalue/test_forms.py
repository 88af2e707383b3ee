"""Every form of Theorem 4.1 against 150 digits, each other, and exact Gaussian expectations."""

import math
import random

import mpmath
import numpy as np
import pytest
from scipy.stats import halfnorm

from eigensam.bounds import (
    Curvature,
    Form,
    PriorGrid,
    eigenvalue_bound,
    remainder,
    theorem_forms,
    third_partials_moment,
)
from eigensam.bounds.eigenvalue.effective_dimension import _evaluate
from eigensam.bounds.eigenvalue.inputs import check_inputs
from eigensam.ground import InputError

COMMON = {"dim": 30, "squared_distance": 2.0, "examples": 10_000}
MEASURED = Curvature(0.2, 0.3, hessian_lipschitz=0.4, third_partial=0.1, fourth_moment=20.0, trace=2.0)


def test_third_partials_by_cumulants():
    """Cumulants of a sum of independent half-normal numbers add up; scipy has those of one."""
    mean, variance, skewness = (float(each) for each in halfnorm.stats(moments="mvs"))
    for d in (1, 2, 3, 10, 1000, 10**7):
        first, second, third = d * mean, d * variance, d * skewness * variance**1.5
        raw = third + 3 * second * first + first**3
        assert third_partials_moment(d) == pytest.approx(raw / (6 * d**3), rel=1e-12)
        assert remainder(d, 0.1, third_partial=2.0) == pytest.approx(2.0 * 1e-3 * raw / 6, rel=1e-12)


def test_third_partials_are_met_with_equality():
    """f(x) = C (|x_1| + ... + |x_d|)^3 / 6 on the plane: its remainder at 0 is the form's; 1/6 alone is too small."""
    nodes, weights = np.polynomial.legendre.leggauss(80)  # of each half line, where the function is smooth
    nodes, weights = 6 * (nodes + 1), 6 * weights
    weights = weights * np.exp(-(nodes**2) / 2) * math.sqrt(2 / math.pi)
    sigma, c = 0.3, 0.7
    exact = float(np.sum(np.multiply.outer(weights, weights) * c * (sigma * np.add.outer(nodes, nodes)) ** 3 / 6))
    assert remainder(2, sigma, third_partial=c) == pytest.approx(exact, rel=1e-10)
    one = float(np.sum(weights * c * (sigma * nodes) ** 3 / 6))
    assert remainder(1, sigma, third_partial=c) == pytest.approx(one, rel=1e-10)
    assert c * 1**3 * sigma**3 / 6 < 0.7 * one  # wrong on purpose: the constant of Taylor's formula alone


def _curvature(rng, dim):
    top = rng.choice([0.0, -1.0, 10 ** rng.uniform(-5, 2)])
    constants = {
        name: 10 ** rng.uniform(-4, 3)
        for name in ("fourth_derivative", "hessian_lipschitz", "third_partial", "fourth_moment")
        if rng.random() < 0.7
    }
    constants = constants or {"fourth_derivative": 1.0}
    if rng.random() < 0.1:
        constants["fourth_moment"] = -1.0
    trace = rng.choice([None, -1.0, 0.0, 10 ** rng.uniform(-4, 4)])
    leading = None if rng.random() < 0.5 else tuple(10 ** rng.uniform(-4, 2) for _ in range(min(dim, 4)))
    if leading is not None:
        top = max(leading)
    return Curvature(top, **constants, trace=trace, eigenvalues=leading)


def _prior(case, k):
    """Its variance and its part of delta."""
    real, grid = mpmath.mpf, PriorGrid.for_dim(case["dim"])
    m, (j, i) = grid.refinement, divmod(k, grid.refinement)
    share = 1 if m == 1 else 2 if i == 0 else 2 * (m - 1)
    delta = 6 * real(0.05) / (share * (mpmath.pi * j) ** 2)
    return real(grid.scale) * mpmath.exp(-real(k) / (real(grid.density) * m)), delta


def _complexity(case, kl, delta):
    n = case["examples"]
    return mpmath.sqrt((kl + mpmath.log(2 * mpmath.sqrt(mpmath.mpf(n)) / delta)) / (2 * n))


def _spectral_truth(case, form, details):
    """The four terms of the effective dimension in mpmath: a diagonal covariance in a basis of eigenvectors."""
    real, curvature, d = mpmath.mpf, case["curvature"], case["dim"]
    s2, delta = _prior(case, details["prior_index"])
    v, kappa = real(details["variance"]), real(details["kappa"])
    leading = [real(theta) for theta in curvature.eigenvalues]
    narrow = [1 / (1 / v + kappa * theta) for theta in leading]
    trace = min(max(real(0), real(curvature.trace)), d * max(real(0), real(curvature.top_eigenvalue)))
    product = (trace - sum(leading)) * v + sum(theta * each for theta, each in zip(leading, narrow, strict=True))
    first, second = ((d - len(narrow)) * v**p + sum(each**p for each in narrow) for p in (1, 2))
    fourth = first**2 + 2 * second
    mean, root = mpmath.sqrt(2 / mpmath.pi), mpmath.sqrt(first * fourth)
    rest = {
        "K_4": lambda: real(curvature.fourth_derivative) * fourth / 24,
        "K_3": lambda: (
            real(curvature.hessian_lipschitz)
            * min(root, v**1.5 * mpmath.sqrt(8) * mpmath.gammaprod([real(d) / 2 + 1.5], [real(d) / 2]))
            / 6
        ),
        "C": lambda: (
            real(curvature.third_partial)
            * min(
                root * real(d) ** 1.5,
                v**1.5 * (2 * mean * d + 3 * d * (d - 1) * mean + d * (d - 1) * (d - 2) * mean**3),
            )
            / 6
        ),
    }[form.remainder]()
    kl = (first / s2 - d - (d - len(narrow)) * mpmath.log(v / s2) - sum(mpmath.log(each / s2) for each in narrow)) / 2
    kl += real(case["squared_distance"]) / (2 * s2)
    return [real(case["empirical_loss"]), max(real(0), product / 2), rest, _complexity(case, kl, delta)]


def _truth(case, form, details):
    """The four terms in mpmath."""
    if form.curvature == "effective dimension":
        return _spectral_truth(case, form, details)
    real, curvature, d = mpmath.mpf, case["curvature"], case["dim"]
    s, (s2, delta) = real(details["sigma"]), _prior(case, details["prior_index"])
    kl = (d * (s * s / s2 - 1 - mpmath.log(s * s / s2)) + real(case["squared_distance"]) / s2) / 2
    slope = d * max(real(0), real(curvature.top_eigenvalue)) / 2
    if form.curvature == "trace":
        slope = min(slope, max(real(0), real(curvature.trace)) / 2)
    mean = mpmath.sqrt(2 / mpmath.pi)
    rest = {
        "K_4": lambda: real(curvature.fourth_derivative) * s**4 * d * (d + 2) / 24,
        "K_3": lambda: (
            real(curvature.hessian_lipschitz)
            * s**3
            * mpmath.sqrt(8)
            * mpmath.gammaprod([real(d) / 2 + 1.5], [real(d) / 2])
            / 6
        ),
        "C": lambda: (
            real(curvature.third_partial)
            * s**3
            / 6
            * (2 * mean * d + 3 * d * (d - 1) * mean + d * (d - 1) * (d - 2) * mean**3)
        ),
        "M_4": lambda: max(real(0), real(curvature.fourth_moment)) * s**4 / 24,
    }[form.remainder]()
    return [real(case["empirical_loss"]), slope * s * s, rest, _complexity(case, kl, delta)]


def test_every_form_in_many_digits():
    """300 random cases: all terms, never below the truth; and the trace's form never above the eigenvalue's."""
    rng, seen = random.Random(0), set()
    for _ in range(300):
        case = {
            "empirical_loss": rng.choice([0.0, rng.random(), 10 ** rng.uniform(-4, -1)]),
            "curvature": None,
            "dim": int(10 ** rng.choice([rng.uniform(0, 3), rng.uniform(0, 8)])),
            "squared_distance": rng.choice([0.0, 10 ** rng.uniform(-8, 3)]),
            "examples": int(10 ** rng.uniform(0.91, 6)),
            "sigma": rng.choice([None, *[10 ** rng.uniform(-5, 0)] * 3]),
        }
        case["curvature"] = _curvature(rng, case["dim"])
        found = theorem_forms(**case)
        for form, bound in found.items():
            seen.add(form)
            with mpmath.workdps(150):
                terms = _truth(case, form, bound.details)
                for term, truth in zip(bound.terms, terms, strict=True):
                    slack = mpmath.mpf(10) ** -12 * (truth + mpmath.mpf(10) ** -6)  # where traces cancel
                    assert truth <= term.value <= truth + slack or term.value == math.inf
            assert bound.form == str(form)
            wider = {"trace": "eigenvalue", "effective dimension": "trace"}.get(form.curvature)
            if wider is not None:
                other = found[Form(wider, form.remainder)]
                assert bound.bound <= other.bound * (1 + 1e-12)
                assert bound.bound_kl <= other.bound_kl * (1 + 1e-12)
    assert len(seen) == 11


def test_a_narrow_posterior_is_a_gaussian_integral():
    """By quadrature in three dimensions: a quartic under the covariance, and the divergence by its definition."""
    leading, trace, fourth = (3.0, 1.0), 4.5, 0.6
    curvature = Curvature(3.0, fourth_derivative=fourth, trace=trace, eigenvalues=leading)
    form = Form("effective dimension", "K_4")
    found = eigenvalue_bound(0.0, curvature, dim=3, squared_distance=0.4, examples=500, form=form)
    v, kappa, s2 = (found.details[name] for name in ("variance", "kappa", "prior_variance"))
    variances = np.array([1 / (1 / v + kappa * theta) for theta in leading] + [v])
    assert variances[0] < 0.9 * variances[1] < 0.9 * variances[2]
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    weights = weights / weights.sum()
    grid = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), -1).reshape(-1, 3)
    mass = np.einsum("i,j,k->ijk", weights, weights, weights).ravel()
    e = grid * np.sqrt(variances)
    hessian = np.array([*leading, trace - sum(leading)])
    assert found.terms[1].value == pytest.approx(float(mass @ (e**2 @ hessian)) / 2, rel=1e-12)
    assert found.terms[2].value == pytest.approx(fourth / 24 * float(mass @ (e**2).sum(1) ** 2), rel=1e-12)
    mean = np.array([math.sqrt(0.4), 0.0, 0.0])
    logs = np.log(s2 / variances).sum() / 2 + (((e + mean) ** 2).sum(1) / s2 - (e**2 / variances).sum(1)) / 2
    assert found.details["kl_nats"] == pytest.approx(float(mass @ logs), rel=1e-12)
    dimension = sum(1 - each / v for each in variances)
    assert found.details["effective_dimension"] == pytest.approx(dimension, rel=1e-9)
    isotropic = eigenvalue_bound(0.0, curvature, dim=3, squared_distance=0.4, examples=500, form=Form("trace", "K_4"))
    assert found.bound < isotropic.bound - 1e-3


def test_the_best_narrow_posterior():
    """No other sigma, kappa and prior near by is better."""
    arguments = {"dim": 200, "squared_distance": 2.0, "examples": 3000}
    curvature = Curvature(5.0, fourth_derivative=0.01, trace=12.0, eigenvalues=(5.0, 3.0, 1.0))
    form = Form("effective dimension", "K_4")
    found = eigenvalue_bound(0.05, curvature, **arguments, form=form)
    given = check_inputs(0.05, curvature, *arguments.values(), 0.05, 1.0, None)
    v, kappa, k = (found.details[name] for name in ("variance", "kappa", "prior_index"))
    values = [
        _evaluate(given, form, v * a, kappa * b, k + c).total
        for a in (0.5, 0.95, 1.0, 1.05, 2.0)
        for b in (0.5, 0.95, 1.0, 1.05, 2.0)
        for c in (-1, 0, 1)
    ]
    assert min(values) >= found.bound * (1 - 1e-9)
    assert max(values) > found.bound * 1.01


def test_each_form_has_its_own_best_sigma():
    for form, bound in theorem_forms(0.1, MEASURED, **COMMON).items():
        best = bound.details["sigma"]
        around = [
            eigenvalue_bound(0.1, MEASURED, **COMMON, form=form, sigma=best * factor).bound
            for factor in (0.3, 0.7, 0.97, 1.03, 1.4, 3.0)
        ]
        assert min(around) >= bound.bound * (1 - 1e-12)
        assert max(around) > 1.001 * bound.bound
    sigmas = {bound.details["sigma"] for bound in theorem_forms(0.1, MEASURED, **COMMON).values()}
    assert len(sigmas) == 8


def test_without_a_form_it_is_the_best_with_the_papers_curvature_term():
    every = theorem_forms(0.1, MEASURED, **COMMON)
    found = eigenvalue_bound(0.1, MEASURED, **COMMON)
    assert found.bound == min(every[Form("eigenvalue", name)].bound for name in ("K_4", "K_3", "C"))
    assert found.form == "eigenvalue, K_4"


def test_taylor_with_the_sampled_fourth_order_term():
    """f(x) = sum_i a_i cos x_i: M_4 = 3 sum_i a_i cos x_i in closed form; what is left is of order sigma^6."""
    rng = np.random.default_rng(0)
    a, x = rng.uniform(0, 1, 5), rng.uniform(-3, 3, 5)
    left = []
    for sigma in (0.2, 0.1, 0.05):
        exact = float(np.sum(a * np.cos(x)) * math.exp(-(sigma**2) / 2))
        second = float(np.sum(a * np.cos(x)) * (1 - sigma**2 / 2))
        fourth = sigma**4 / 24 * 3 * float(np.sum(a * np.cos(x)))
        left.append(abs(exact - second - fourth))
    assert [math.log2(left[i] / left[i + 1]) for i in (0, 1)] == pytest.approx([6, 6], abs=0.1)


@pytest.mark.parametrize(
    ("curvature", "form", "message"),
    [
        (Curvature(0.1, fourth_derivative=1.0), Form("trace", "K_4"), "needs trace"),
        (Curvature(0.1, fourth_derivative=1.0), Form("eigenvalue", "C"), "needs third_partial"),
        (Curvature(0.1, fourth_moment=1.0), None, "no bound on a higher derivative"),
        (Curvature(0.1, fourth_derivative=1.0, trace=math.nan), None, "not finite"),
        (Curvature(0.1, third_partial=-1.0), None, "negative derivative bound"),
        (Curvature(0.1, 1.0, trace=1.0), Form("effective dimension", "K_4"), "needs eigenvalues"),
        (Curvature(0.1, 1.0, trace=1.0, eigenvalues=(math.nan,)), None, "not finite"),
        (Curvature(0.1, 1.0, trace=1.0, eigenvalues=(1.0,) * 31), None, "31 eigenvalues of 30 parameters"),
        (Curvature(0.1, 1.0, trace=1.0, eigenvalues=(0.2,)), None, "are above lambda_1"),
        (Curvature(0.1, 1.0, fourth_moment=1.0), Form("effective dimension", "M_4"), "has no sampled term"),
        (Curvature(0.1, fourth_moment=1.0, kind="certificate"), Form("eigenvalue", "M_4"), "bounds nothing elsewhere"),
    ],
)
def test_refusals(curvature, form, message):
    with pytest.raises(InputError, match=message):
        eigenvalue_bound(0.1, curvature, **COMMON, form=form)


def test_unknown_forms():
    for arguments in (("traces", "K_4"), ("trace", "K_5")):
        with pytest.raises(InputError, match=r"unknown .* of a form; choose one of"):
            Form(*arguments)
