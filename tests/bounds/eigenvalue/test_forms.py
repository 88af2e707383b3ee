"""Every form of Theorem 4.1 against 60 digits, each other, and exact Gaussian expectations."""

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


def _curvature(rng):
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
    return Curvature(top, **constants, trace=trace)


def _truth(case, form, sigma, k):
    """The four terms in mpmath."""
    real, curvature, d, n = mpmath.mpf, case["curvature"], case["dim"], case["examples"]
    grid, s = PriorGrid.for_dim(d), real(sigma)
    m, (j, i) = grid.refinement, divmod(k, grid.refinement)
    s2 = real(grid.scale) * mpmath.exp(-real(k) / (real(grid.density) * m))
    share = 1 if m == 1 else 2 if i == 0 else 2 * (m - 1)
    delta = 6 * real(0.05) / (share * (mpmath.pi * j) ** 2)
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
    complexity = mpmath.sqrt((kl + mpmath.log(2 * mpmath.sqrt(real(n)) / delta)) / (2 * n))
    return [real(case["empirical_loss"]), slope * s * s, rest, complexity]


def test_every_form_in_sixty_digits():
    """300 random cases: all terms, never below the truth; and the trace's form never above the eigenvalue's."""
    rng, seen = random.Random(0), set()
    for _ in range(300):
        case = {
            "empirical_loss": rng.choice([0.0, rng.random(), 10 ** rng.uniform(-4, -1)]),
            "curvature": _curvature(rng),
            "dim": int(10 ** rng.choice([rng.uniform(0, 3), rng.uniform(0, 8)])),
            "squared_distance": rng.choice([0.0, 10 ** rng.uniform(-8, 3)]),
            "examples": int(10 ** rng.uniform(0.91, 6)),
            "sigma": rng.choice([None, 10 ** rng.uniform(-5, 0)]),
        }
        found = theorem_forms(**case)
        for form, bound in found.items():
            seen.add(form)
            with mpmath.workdps(60):
                terms = _truth(case, form, bound.details["sigma"], bound.details["prior_index"])
                for term, truth in zip(bound.terms, terms, strict=True):
                    assert truth <= term.value <= truth * (1 + mpmath.mpf(10) ** -12) or term.value == math.inf
            assert bound.form == str(form)
            if form.curvature == "trace":
                other = found[Form("eigenvalue", form.remainder)]
                assert bound.bound <= other.bound
                assert bound.bound_kl <= other.bound_kl
    assert len(seen) == 8


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
