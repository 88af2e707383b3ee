"""The largest value of a quadratic in a ball, against a dense grid, scipy, and the hard case by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize

from eigensam.bounds.peers.trust_region import largest_in_ball


def _grid(b, t, r):
    """Largest value on 400 radii by 2000 angles."""
    radii, angles = np.linspace(0, r, 401)[:, None], np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    s = np.stack([radii * np.cos(angles), radii * np.sin(angles)])
    return float((np.einsum("i,iab->ab", b, s) + np.einsum("iab,ij,jab->ab", s, t, s) / 2).max())


def test_against_a_dense_grid_in_two_dimensions():
    rng = np.random.default_rng(0)
    for _ in range(60):
        t = rng.normal(size=(2, 2))
        t, b, r = (t + t.T) / 2, rng.normal(size=2) * 10.0 ** rng.integers(-3, 2), 10.0 ** rng.uniform(-1, 1)
        value, s = largest_in_ball(b, t, r)
        assert np.linalg.norm(s) <= r * (1 + 1e-12)
        assert value == pytest.approx(b @ s + s @ t @ s / 2, rel=1e-12)
        truth = _grid(b, t, r)
        assert truth <= value + 1e-12 * abs(value)
        assert value == pytest.approx(truth, rel=2e-4, abs=1e-9)


def test_against_scipy_in_more_dimensions():
    rng = np.random.default_rng(1)
    for k in (1, 3, 6):
        for _ in range(8):
            t = rng.normal(size=(k, k))
            t, b, r = (t + t.T) / 2, rng.normal(size=k), 10.0 ** rng.uniform(-1, 1)
            value, _ = largest_in_ball(b, t, r)
            ball = {"type": "ineq", "fun": lambda s, r=r: r**2 - s @ s}
            starts = [r * v / np.linalg.norm(v) for v in (b, *rng.normal(size=(4, k)))]
            found = max(
                -minimize(lambda s, b=b, t=t: -(b @ s + s @ t @ s / 2), s0, constraints=ball, method="SLSQP").fun
                for s0 in starts
            )
            assert value == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("small", [0.0, 1e-30, 1e-17, -1e-15, 1e-12, 1e-9])
def test_hard_case(small):
    """Little or nothing of the gradient along the top eigenvector: f = s_2 + (3 s_1^2 + s_2^2)/2 in the unit ball.

    With s_1^2 = 1 - s_2^2 it is 3/2 + s_2 - s_2^2, largest at s_2 = 1/2: 7/4.
    """
    value, s = largest_in_ball(np.array([small, 1.0]), np.diag([3.0, 1.0]), 1.0)
    assert value == pytest.approx(1.75, abs=1e-8)
    assert s[1] == pytest.approx(0.5, abs=1e-8)
    assert np.copysign(1, s[0]) == np.copysign(1, small)


def test_inside_and_nothing():
    value, s = largest_in_ball(np.array([1.0, 1.0]), np.diag([-2.0, -4.0]), 10.0)
    np.testing.assert_allclose(s, [0.5, 0.25])
    assert value == pytest.approx(0.375)
    assert largest_in_ball(np.zeros(2), np.zeros((2, 2)), 1.0)[0] == 0
    assert largest_in_ball(np.zeros(2), np.diag([-1.0, -2.0]), 1.0)[0] == 0
    assert largest_in_ball(np.array([0.0, 1.0]), np.diag([0.0, -1.0]), 5.0)[0] == pytest.approx(0.5)
    assert largest_in_ball(np.zeros(1), np.eye(1), 2.0)[0] == pytest.approx(2.0)


def test_sizes_do_not_matter():
    """Nothing overflows or vanishes on the way."""
    b, t = np.array([1.0, -2.0]), np.array([[1.0, 0.5], [0.5, -3.0]])
    value, s = largest_in_ball(b, t, 0.7)
    for scale in (1e-200, 1e180):
        assert largest_in_ball(scale * b, scale * t, 0.7)[0] / scale == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(largest_in_ball(scale * b, t * scale, 0.7)[1], s, rtol=1e-9)
    assert largest_in_ball(b * 1e-6, t, 0.7e-6)[0] == pytest.approx(value * 1e-12, rel=1e-12)
