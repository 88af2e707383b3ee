"""Theorem 4.1: the Taylor step against exact Gaussian expectations, the rest by identities and coverage."""

import math

import numpy as np
import pytest
from scipy.stats import chi

from eigensam.bounds import Curvature, PriorGrid, eigenvalue_bound, remainder
from eigensam.landscapes import InputError

FLAT = Curvature(top_eigenvalue=0.2, fourth_derivative=0.3)
COMMON = {"dim": 30, "squared_distance": 2.0, "examples": 10_000}


def test_remainders_are_the_moments_of_a_gaussian():
    """E|e|^4 = sigma^4 d (d+2) and E|e|^3, both from scipy's chi distribution."""
    for d, sigma in ((1, 1.0), (7, 0.3), (1000, 0.01)):
        assert remainder(d, sigma, fourth_derivative=24) == pytest.approx(sigma**4 * chi(d).moment(4), rel=1e-9)
        assert remainder(d, sigma, hessian_lipschitz=6) == pytest.approx(sigma**3 * chi(d).moment(3), rel=1e-9)
    assert remainder(7, 0.3, 1.0, 1.0) == min(remainder(7, 0.3, 1.0), remainder(7, 0.3, None, 1.0))
    with pytest.raises(InputError, match="no bound on a higher derivative"):
        remainder(7, 0.3)
    with pytest.raises(InputError, match="are not negative"):
        remainder(7, 0.3, -1.0)


def test_taylor_step_against_an_exact_expectation():
    """f(x) = sum_i [a_i (1 - cos x_i)]: E f(x + e) = sum a_i (1 - e^{-s^2/2} cos x_i), K_4 <= max a_i by hand."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        d = int(rng.integers(1, 6))
        a, x, sigma = rng.uniform(0, 1, d), rng.uniform(-3, 3, d), float(rng.uniform(0.01, 0.8))
        exact = float(np.sum(a * (1 - math.exp(-(sigma**2) / 2) * np.cos(x))))
        value, top = float(np.sum(a * (1 - np.cos(x)))), float(np.max(a * np.cos(x)))
        for constants in ({"fourth_derivative": a.max()}, {"hessian_lipschitz": a.max()}):
            bound = value + d * sigma**2 / 2 * top + remainder(d, sigma, **constants)
            assert bound >= exact - 1e-12
    # wrong on purpose: with a tenth of curvature and remainder the inequality breaks (at x = 0, a = 1, sigma = 0.1)
    exact = 3 * (1 - math.exp(-0.005))
    assert 0.1 * (3 * 0.01 / 2) + remainder(3, 0.1, fourth_derivative=1.0) * 0.1 < exact


def test_terms_add_up_and_are_labelled():
    result = eigenvalue_bound(0.1, FLAT, **COMMON)
    assert [t.name for t in result.terms] == ["empirical loss", "curvature", "remainder", "complexity"]
    assert [t.kind for t in result.terms] == ["measured", "estimate", "estimate", "certificate"]
    assert result.kind == "estimate"
    assert result.bound == pytest.approx(sum(t.value for t in result.terms), rel=1e-15)
    d = result.details
    assert result.terms[1].value == pytest.approx(30 * d["sigma"] ** 2 / 2 * 0.2)
    assert d["log_term"] == pytest.approx(
        math.log(2 * math.sqrt(10_000) / PriorGrid().confidence(int(d["prior_index"]), 0.05))
    )
    assert result.terms[3].value == pytest.approx(math.sqrt((d["kl_nats"] + d["log_term"]) / (2 * 10_000)))


def test_a_certificate_needs_certified_curvature_and_pays_for_it():
    proved = Curvature(0.2, fourth_derivative=0.3, kind="certificate", spent=0.01)
    result = eigenvalue_bound(0.1, proved, **COMMON)
    assert result.kind == "certificate"
    free = eigenvalue_bound(0.1, Curvature(0.2, fourth_derivative=0.3, kind="certificate"), **COMMON)
    assert result.bound > free.bound


def test_monotone_in_everything():
    base = eigenvalue_bound(0.1, FLAT, **COMMON)
    worse = [
        eigenvalue_bound(0.2, FLAT, **COMMON),
        eigenvalue_bound(0.1, Curvature(0.4, fourth_derivative=0.3), **COMMON),
        eigenvalue_bound(0.1, Curvature(0.2, fourth_derivative=3.0), **COMMON),
        eigenvalue_bound(0.1, FLAT, **{**COMMON, "dim": 60}),
        eigenvalue_bound(0.1, FLAT, **{**COMMON, "squared_distance": 4.0}),
        eigenvalue_bound(0.1, FLAT, **{**COMMON, "examples": 5000}),
        eigenvalue_bound(0.1, FLAT, **COMMON, delta=0.01),
    ]
    for result in worse:
        assert result.bound > base.bound
        assert result.bound_kl > base.bound_kl
    for result in (base, *worse):
        assert result.terms[0].value <= result.bound_kl <= result.bound


def test_sigma_is_the_best_one():
    best = eigenvalue_bound(0.1, FLAT, **COMMON)
    for factor in (0.25, 0.5, 0.9, 1.1, 2.0, 4.0):
        other = eigenvalue_bound(0.1, FLAT, **COMMON, sigma=best.details["sigma"] * factor)
        assert other.bound >= best.bound * (1 - 1e-6)


def test_loss_bound_scales_everything():
    small = eigenvalue_bound(0.1, FLAT, **COMMON)
    large = eigenvalue_bound(0.3, Curvature(0.6, fourth_derivative=0.9), **COMMON, loss_bound=3.0)
    assert large.bound == pytest.approx(3 * small.bound, rel=1e-6)
    assert large.bound_kl == pytest.approx(3 * small.bound_kl, rel=1e-6)


def test_vacuous_is_said():
    assert eigenvalue_bound(0.1, FLAT, **{**COMMON, "dim": 10**6}).vacuous
    assert not eigenvalue_bound(0.1, FLAT, **COMMON).vacuous
    # the theorem's sum decides, though the form before Pinsker stays below 1
    capped = eigenvalue_bound(0.9, FLAT, **{**COMMON, "examples": 8})
    assert capped.vacuous
    assert capped.bound > 1 >= capped.bound_kl


def test_a_negative_ritz_value_does_not_lower_the_bound():
    """It is a lower bound of lambda_1 only."""
    negative, zero = (eigenvalue_bound(0.1, Curvature(v, fourth_derivative=0.3), **COMMON) for v in (-5.0, 0.0))
    assert negative.bound == zero.bound >= negative.bound_kl >= 0.1


def test_coverage_on_gaussian_means():
    """f(x, z) = (1 - cos(x - z)) / 2 in [0, 1], everything exact: the bound holds in at least 95 % of 400 samples."""
    rng = np.random.default_rng(0)
    n, misses, wrong_misses = 50, 0, 0
    for _ in range(400):
        z = rng.normal(0.5, 0.3, n)
        x = z.mean()
        loss, curvature = np.mean(1 - np.cos(x - z)) / 2, np.mean(np.cos(x - z)) / 2
        result = eigenvalue_bound(
            loss, Curvature(curvature, fourth_derivative=0.5), dim=1, squared_distance=x * x, examples=n
        )
        sigma = result.details["sigma"]
        risk = (1 - math.exp(-(sigma**2) / 2 - 0.3**2 / 2) * math.cos(x - 0.5)) / 2
        misses += risk > result.bound_kl
        wrong_misses += risk > loss  # wrong on purpose: the empirical loss alone
    assert misses <= 0.05 * 400
    assert wrong_misses > 0.05 * 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"delta": 0.0}, r"delta = 0.0 does not lie in \(0, 1\)"),
        ({"delta": 1.5}, "delta = 1.5 does not lie"),
        ({"delta": math.nan}, "delta = nan does not lie"),
        ({"examples": 7}, "n = 7 examples are too few"),
        ({"empirical_loss": 1.1}, r"loss 1.1 does not lie in \[0, 1.0\]"),
        ({"empirical_loss": math.nan}, "loss nan does not lie"),
        ({"dim": 0}, "need dim >= 1"),
        ({"squared_distance": math.inf}, "a finite distance"),
        ({"curvature": Curvature(math.nan, fourth_derivative=1.0)}, "not finite or a negative derivative bound"),
        ({"curvature": Curvature(1.0, fourth_derivative=-1.0)}, "not finite or a negative derivative bound"),
        ({"curvature": Curvature(1.0)}, "no bound on a higher derivative"),
        ({"curvature": Curvature(1.0, 1.0, spent=0.05)}, "spends 0.05 of delta = 0.05"),
        ({"sigma": 0.0}, "sigma = 0.0 is not positive"),
        ({"sigma": math.nan}, "sigma = nan is not positive"),
        ({"delta": 1e-320}, "is below 1e-100"),
        ({"curvature": Curvature(1.0, 1.0, kind="theorem")}, "unknown kind 'theorem'"),
    ],
)
def test_refusals(changes, message):
    arguments = {"empirical_loss": 0.1, "curvature": FLAT, **COMMON, **changes}
    with pytest.raises(InputError, match=message):
        eigenvalue_bound(arguments.pop("empirical_loss"), arguments.pop("curvature"), **arguments)
