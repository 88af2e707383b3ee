"""The largest loss in a ball, and the surrogate gap: 300 cases against 60 digits, the exact tail, coverage."""

import math

import mpmath
import numpy as np
import pytest
from scipy.stats import chi2

from eigensam.bounds import PriorGrid, ball_bound, foret_bound, surrogate_gap_bound
from eigensam.ground import InputError

from .cases import COMMON, cases, kl


def _formula(case, sigma, k):
    """Terms of the sum and ``(KL + ln(2 sqrt(n)/delta_k)) / n``."""
    real, log = mpmath.mpf, mpmath.log
    d, n, s, b = case["dim"], case["examples"], real(sigma), real(case["loss_bound"])
    grid = PriorGrid.for_dim(d)
    m, (j, i) = grid.refinement, divmod(k, grid.refinement)
    s2 = real(grid.scale) * mpmath.exp(-real(k) / (real(grid.density) * m))
    share = 1 if m == 1 else 2 if i == 0 else 2 * (m - 1)
    delta = 6 * real(case["delta"]) / (share * (mpmath.pi * j) ** 2)
    divergence = (d * (s * s / s2 - 1 - log(s * s / s2)) + real(case["squared_norm"]) / s2) / 2
    c = (divergence + log(2 * mpmath.sqrt(real(n)) / delta)) / n
    t = real(case["rho"]) ** 2 / (d * s * s)
    loss = real(case["perturbed_loss"])
    return [loss, (t * mpmath.exp(1 - t)) ** (real(d) / 2) * (b - loss), b * mpmath.sqrt(c / 2)], c


def test_against_sixty_digits():
    seen = set()
    for case in cases(300, 1):
        found = ball_bound(**case)
        with mpmath.workdps(60):
            terms, _ = _formula(case, found.details["sigma"], found.details["prior_index"])
            for term, truth in zip(found.terms, terms, strict=True):
                assert truth <= term.value <= truth * (1 + mpmath.mpf(2) ** -50) + mpmath.mpf(5e-324), (term, case)
            total = mpmath.fsum(terms)
            assert total <= found.bound <= total * (1 + mpmath.mpf(2) ** -50)
            p = mpmath.mpf(found.bound_kl) / case["loss_bound"]
            if found.bound_kl == found.bound or p >= 1:
                seen.add("trivial")
                continue
            terms, c = _formula(case, found.details["sigma_of_bound_kl"], found.details["prior_index_of_bound_kl"])
            q = (terms[0] + terms[1]) / case["loss_bound"]
            assert kl(q, p - mpmath.mpf(10) ** -9) < c <= kl(q, p) * (1 + mpmath.mpf(10) ** -15)
            seen.add("kl")
    assert seen == {"trivial", "kl"}


def test_what_lies_outside_the_ball():
    """Chernoff's bound is one, against the exact distribution, and not far from it."""
    for case in cases(60, 2):
        found = ball_bound(**{**case, "dim": min(case["dim"], 10**5)})
        for name in ("", "_of_bound_kl"):
            sigma, p = found.details[f"sigma{name}"], found.details[f"outside_probability{name}"]
            exact = chi2.sf((case["rho"] / sigma) ** 2, found.details["dim"])
            assert exact <= p * (1 + 1e-9)
            assert p <= 40 * exact**0.9 + 1e-300


def test_smaller_than_the_bound_it_comes_from():
    """At its best sigma, over a grid of sigmas evaluated here; and below Foret's in each of 100 cases."""
    for case in cases(100, 3):
        assert ball_bound(**case).bound <= foret_bound(**case).bound
    case = {"perturbed_loss": 0.1, **COMMON, "delta": 0.05, "loss_bound": 1.0}
    found, grid = ball_bound(**case), PriorGrid.for_dim(30)
    sums = []
    for sigma in 0.5 / np.sqrt(30 * np.geomspace(1.01, 20, 300)):
        k = grid.best(30, sigma**2, 1.0)
        sums.append(float(sum(_formula(case, sigma, k)[0])))
    assert found.bound == pytest.approx(min(sums), rel=2e-3)


def test_gibbs_risk_is_below_the_largest_loss_and_what_is_outside():
    """f(e) = 1 - exp(-|e|^2/2): its largest value in the ball and its Gaussian mean in closed form."""
    for rho in (0.3, 1.0, 3.0):
        for d in (1, 5, 40):
            largest = 1 - math.exp(-(rho**2) / 2)
            found = ball_bound(largest, rho=rho, squared_norm=0.0, dim=d, examples=1000)
            mean = 1 - (1 + found.details["sigma"] ** 2) ** (-d / 2)
            assert mean <= found.terms[0].value + found.terms[1].value
            # wrong on purpose: with the radius in each coordinate, as if sigma were rho
            if d == 40:
                assert 1 - (1 + rho**2) ** (-d / 2) > largest


def test_coverage():
    """Means of Gaussians, l = 1 - exp(-|x-z|^2/2): the risk is known, x minimises the empirical one, f_D(x) <= E f_D.

    Largest loss in the ball over a dense grid of angles. Wrong on purpose: without complexity it is exceeded.
    """
    rng, d, n, rho = np.random.default_rng(0), 2, 30, 0.3
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    failures = {"bound": 0, "without complexity": 0}

    def risk(x, variance=0.0):  # z ~ N(0, I)
        v = 2 + variance
        return 1 - (1 / v) ** (d / 2) * math.exp(-float(x @ x) / (2 * v))

    for _ in range(200):
        z = rng.normal(size=(n, d))
        x = z.mean(0)
        radii = np.linspace(0, rho, 8)[:, None, None]
        points = x + (radii * circle).reshape(-1, d)
        losses = 1 - np.exp(-((points[:, None] - z) ** 2).sum(-1) / 2)
        largest = float(losses.mean(1).max())
        found = ball_bound(largest, rho=rho, squared_norm=float(x @ x), dim=d, examples=n, delta=0.1)
        assert risk(x) <= risk(x, found.details["sigma"] ** 2)
        failures["bound"] += risk(x) > min(found.bound, found.bound_kl)
        failures["without complexity"] += risk(x) > largest
    assert failures["bound"] <= 0.1 * 200
    assert failures["without complexity"] > 0.1 * 200


def test_surrogate_gap_is_the_same_statement():
    """f + h is the perturbed loss, to the rounding of the sum; always an estimate."""
    for case in cases(60, 4):
        loss = case.pop("perturbed_loss")
        gap = min(0.3 * loss, case["loss_bound"] - loss)
        whole = ball_bound(min(loss + gap, case["loss_bound"]), **case)
        found = surrogate_gap_bound(loss, gap, **case)
        assert found.bound == pytest.approx(whole.bound, rel=1e-14)
        assert found.bound_kl == pytest.approx(whole.bound_kl, rel=1e-12)
        assert [term.kind for term in found.terms] == ["measured", "estimate", "certificate", "certificate"]
        assert sum(term.value for term in found.terms) == pytest.approx(found.bound, rel=1e-12)
        assert found.kind == "estimate"


def test_surrogate_gap_at_the_loss_bound_and_refusals():
    assert surrogate_gap_bound(0.7, 0.3 + 1e-12, **COMMON).vacuous
    for loss, gap in ((0.1, -1e-9), (-0.1, 0.2), (math.nan, 0.1), (0.1, math.nan)):
        with pytest.raises(InputError, match="neither is negative"):
            surrogate_gap_bound(loss, gap, **COMMON)
    for loss, gap in ((0.9, 0.2), (0.1, math.inf), (math.inf, 0.1)):
        with pytest.raises(InputError, match="does not lie in"):
            surrogate_gap_bound(loss, gap, **COMMON)
