"""The minimum over sigma and priors against a dense brute force; the two inequalities that make it one bisection."""

import math
import random

import numpy as np
import pytest
from scipy.special import expit

from eigensam.bounds import Curvature, PriorGrid, eigenvalue_bound, kl_inverse
from eigensam.bounds.eigenvalue.best_posterior import pinsker, seeger


def _bisected_inverse(q, c):
    """kl^-1 of arrays by bisection, independent of the code's Newton steps."""
    low, high = np.minimum(q, 1.0), np.ones_like(q)
    for _ in range(60):
        p = (low + high) / 2
        kl = np.where(q > 0, q * np.log(np.where(q > 0, q, 1) / p), 0) + (1 - q) * np.log((1 - q) / (1 - p))
        low, high = np.where(kl < c, p, low), np.where(kl < c, high, p)
    return np.where(q < 1, high, 1.0)


def _brute_force(case, priors, log_ratios):
    """Least value of both forms over all given priors and ln(sigma^2/s_k^2), in plain floats."""
    d, n, f, curvature = case["dim"], case["examples"], case["empirical_loss"], case["curvature"]
    grid = PriorGrid.for_dim(d)
    k = np.array(list(priors(grid)))[:, None]
    s2 = grid.scale * np.exp(-k / (grid.density * grid.refinement))
    costs = np.array([[math.log(2 * math.sqrt(n) / grid.confidence(int(i), 0.05))] for i in k[:, 0]])
    v = s2 * np.exp(log_ratios)
    with np.errstate(all="ignore"):
        q = f + d * v * max(0.0, curvature.top_eigenvalue) / 2
        rests = np.full_like(q, np.inf)
        if curvature.fourth_derivative is not None:
            rests = np.minimum(rests, curvature.fourth_derivative / 24 * v**2 * d * (d + 2.0))
        if curvature.hessian_lipschitz is not None:
            moment = math.exp(1.5 * math.log(2) + math.lgamma((d + 3) / 2) - math.lgamma(d / 2))
            rests = np.minimum(rests, curvature.hessian_lipschitz / 6 * v**1.5 * moment)
        q = q + rests
        c = (0.5 * (d * (np.expm1(log_ratios) - log_ratios) + case["squared_distance"] / s2) + costs) / n
        linear = q + np.sqrt(c / 2)
        near = linear <= np.nanquantile(linear, 0.05)  # a small p needs a small q + sqrt(c/2): kl^-1 only of candidates
        candidates = near | (q + c <= np.nanquantile(q + c, 0.05))
        return linear.min(), _bisected_inverse(q[candidates], c[candidates]).min()


def _all_coarse(grid):
    return (grid.refinement * j for j in range(1, 500))


def _draw(rng):
    which = rng.choice(["K4", "K3", "both"])
    k4, k3 = 10 ** rng.uniform(-4, 4), 10 ** rng.uniform(-4, 3)
    return {
        "empirical_loss": rng.choice([0.0, rng.random(), 10 ** rng.uniform(-4, -1)]),
        "curvature": Curvature(
            rng.choice([0.0, 10 ** rng.uniform(-5, 2)]), None if which == "K3" else k4, None if which == "K4" else k3
        ),
        "dim": int(10 ** rng.choice([rng.uniform(0, 2), rng.uniform(0, 7)])),
        "squared_distance": rng.choice([0.0, 10 ** rng.uniform(-8, 3)]),
        "examples": int(10 ** rng.uniform(0.91, 6.5)),
    }


def test_nothing_better_exists():
    """Random inputs: both forms within 1e-6 of the least over 500 coarse priors, 99 fine ones, 160 sigmas each."""
    rng, ratios = random.Random(0), np.r_[-(10 ** np.linspace(-8, 1.7, 160)), 0.0]
    for _ in range(25):
        case = _draw(rng)
        result = eigenvalue_bound(**case)
        around = [int(result.details[name]) for name in ("prior_index", "prior_index_of_bound_kl")]
        fine = sorted({k for i in around for k in range(i - 25, i + 25)})

        def priors(grid, fine=fine):
            yield from _all_coarse(grid)
            yield from (k for k in fine if k >= grid.refinement)

        linear, inverted = _brute_force(case, priors, ratios)
        assert result.bound <= linear * (1 + 1e-6), case
        assert result.bound_kl <= inverted * (1 + 1e-6), case


def test_the_case_with_ripples():
    """0.266 and 0.151 before, when sigma was sought as if the bound had one minimum."""
    case = {
        "empirical_loss": 0.0033,
        "curvature": Curvature(0.00245, 72.7),
        "dim": 375_059,
        "squared_distance": 1e-5,
        "examples": 536,
    }
    result = eigenvalue_bound(**case)
    linear, inverted = _brute_force(case, _all_coarse, np.linspace(-3, 0, 3001))
    assert linear * (1 - 1e-4) < result.bound <= linear
    assert inverted * (1 - 1e-4) < result.bound_kl <= inverted
    assert (round(result.bound, 5), round(result.bound_kl, 5)) == (0.21983, 0.13130)
    # each form has an optimum of its own: at the other's sigma it is larger
    sigma, other = result.details["sigma"], result.details["sigma_of_bound_kl"]
    assert eigenvalue_bound(**case, sigma=sigma).bound_kl > result.bound_kl * 1.02
    assert eigenvalue_bound(**case, sigma=other).bound > result.bound * 1.02
    assert eigenvalue_bound(**case, sigma=sigma).bound == result.bound
    assert eigenvalue_bound(**case, sigma=other).bound_kl == result.bound_kl


def test_a_given_sigma_is_never_better():
    rng = random.Random(3)
    for _ in range(6):
        case = _draw(rng)
        result = eigenvalue_bound(**case)
        for _ in range(12):
            sigma = result.details["sigma"] * 10 ** (rng.uniform(-1, 1) * rng.choice([1, 0.01]))
            other = eigenvalue_bound(**case, sigma=min(max(sigma, 1e-12), 1e6))
            assert other.bound >= result.bound * (1 - 1e-9)
            assert other.bound_kl >= result.bound_kl * (1 - 1e-9)


def test_forms_and_their_derivatives():
    """Values against the certified inverse; ratios of derivatives against differences."""
    rng = np.random.default_rng(0)
    q, c = 10 ** rng.uniform(-3, 0, 60) * 0.999, 10 ** rng.uniform(-4, 0.5, 60)
    value, ratio = seeger(q, c)
    for i in range(60):
        assert expit(value[i]) == pytest.approx(kl_inverse(q[i], c[i]), rel=1e-9)
    for form in (seeger, pinsker):
        value, ratio = form(q, c)
        by_q, by_c = ((form(q * x, c * y)[0] - form(q / x, c / y)[0]) for x, y in ((1 + 1e-5, 1), (1, 1 + 1e-5)))
        np.testing.assert_allclose((by_q / q) / (by_c / c), ratio, rtol=1e-3)
    with np.errstate(all="ignore"):
        assert seeger(np.array([1.0, 2.0]), np.array([1.0, 1.0]))[0].tolist() == [math.inf, math.inf]


def test_one_turning_point_for_each_prior():
    """Along 2000 sigmas neither form turns from rising to falling, whatever the prior."""
    rng, x = random.Random(5), np.r_[-(10 ** np.linspace(1.5, -6, 2000)), 0.0]
    for _ in range(60):
        case = _draw(rng)
        d, n, curvature = case["dim"], case["examples"], case["curvature"]
        s2 = 10 ** rng.uniform(-9, 1)
        v = s2 * np.exp(x)
        k4 = curvature.fourth_derivative
        rest = k4 / 24 * v**2 * d * (d + 2.0) if k4 is not None else curvature.hessian_lipschitz * (d * v) ** 1.5 / 6
        q = case["empirical_loss"] + d * v * curvature.top_eigenvalue / 2 + rest
        c = (0.5 * (d * (np.expm1(x) - x) + case["squared_distance"] / s2) + rng.uniform(3, 30)) / n
        with np.errstate(all="ignore"):
            for value in (q + np.sqrt(c / 2), expit(seeger(q, c)[0])):
                steps = np.diff(value)
                steps = np.sign(np.where(np.abs(steps) > 1e-12 * value[1:], steps, 0))
                steps = steps[steps != 0]
                assert (np.diff(steps) >= 0).all(), case


def test_one_minimum_because_of_a_power_series():
    """theory, section 6: e^{2w} - 1 - 2w <= 4 (-w - ln(1-w)) on [0, 1), coefficient by coefficient."""
    assert all(2**k * k <= 4 * math.factorial(k) for k in range(2, 100))
    assert not all(3**k * k <= 4 * math.factorial(k) for k in range(2, 100))  # a remainder of power 3 is not covered
    w = np.linspace(1e-3, 1 - 1e-9, 1000)
    assert (np.expm1(2 * w) - 2 * w <= 4 * (-w - np.log1p(-w))).all()
