"""A slope with an interval: exact on powers, calibrated on noise, silent where there is nothing but noise."""

import numpy as np
import pytest

from eigensam.sde.weak_order.slope_fit import fit_slope, resolved

ETAS = [2.0**-k for k in range(3, 8)]


@pytest.mark.parametrize("order", [1 / 3, 1.0, 2.0])
def test_exact_powers(order):
    errors = -3 * np.array(ETAS) ** order
    fit = fit_slope(ETAS, errors, 1e-24 * np.eye(5), 0.95)
    assert fit.slope == pytest.approx(order, abs=1e-12)
    assert fit.last == 4
    assert fit.half_width < 1e-6


def test_the_interval_covers_the_slope():
    """Two truths: numpy's polyfit for the value; 95 % of 2000 correlated samples for the interval."""
    rng = np.random.default_rng(0)
    truth = np.array(ETAS)
    root = (0.02 * np.eye(5) + 0.02) * truth[:, None]
    covariance = root @ root.T
    hits, widths = 0, []
    for _ in range(2000):
        errors = truth + root @ rng.standard_normal(5)
        fit = fit_slope(ETAS, errors, covariance, 0.95)
        levels = [fit.last - 1, fit.last]
        by_numpy = np.polyfit(np.log(np.array(ETAS)[levels]), np.log(errors[levels]), 1)[0]
        assert fit.slope == pytest.approx(by_numpy, rel=1e-9)
        hits += abs(fit.slope - 1) <= fit.half_width
        widths.append(fit.half_width)
    assert hits / 2000 == pytest.approx(0.95, abs=0.015)
    # Wrong on purpose: without the correlation the interval would be another.
    alone = fit_slope(ETAS, truth, np.diag(np.diag(covariance)), 0.95)
    assert alone.half_width > 1.2 * np.mean(widths)


def test_no_slope_out_of_noise():
    rng = np.random.default_rng(1)
    fits = [fit_slope(ETAS, rng.standard_normal(5), np.eye(5), 0.95) for _ in range(1000)]
    assert fits == [None] * 1000


def test_levels_below_the_noise_are_left_out():
    errors = np.array([0.8, 0.4, 0.2, 1e-4, -1e-4])
    covariance = 1e-6 * np.eye(5)
    assert resolved(errors, covariance) == [0, 1, 2]
    fit = fit_slope(ETAS, errors, covariance, 0.95)
    assert fit.last == 2
    assert fit.slope == pytest.approx(1.0)


def test_a_change_of_sign_has_no_slope():
    assert fit_slope(ETAS[:2], np.array([0.1, -0.1]), 1e-9 * np.eye(2), 0.95) is None


def test_a_gap_ends_the_fit():
    fit = fit_slope(ETAS[:4], np.array([0.8, 1e-5, 0.2, 0.1]), 1e-9 * np.eye(4), 0.95)
    assert fit.last == 3
