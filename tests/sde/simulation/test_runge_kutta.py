"""Truths: Taylor's polynomial of a linear flow, closed forms of nonlinear ones, and the same in many digits."""

import math

import mpmath
import numpy as np
import pytest
import torch

from eigensam.sde.simulation.runge_kutta import runge_kutta_step, timed_runge_kutta_step


@pytest.mark.parametrize("time", [0.0, 0.1, -0.7, 2.0])
def test_linear_flows_are_taylor_polynomials_of_degree_4(time):
    matrix = torch.tensor([[-1.0, 2.0], [0.5, 0.3]], dtype=torch.float64)
    x = torch.tensor([[1.0, -2.0], [0.3, 0.4]], dtype=torch.float64)
    truth = sum(torch.linalg.matrix_power(time * matrix, k) / math.factorial(k) for k in range(5))
    found = runge_kutta_step(lambda y: y @ matrix.mT, x, time)
    np.testing.assert_allclose(found, x @ truth.mT, rtol=0, atol=1e-14)
    assert time == 0 or (found - x @ torch.linalg.matrix_exp(time * matrix).mT).abs().max() > 1e-9


@pytest.mark.parametrize(
    ("drift", "flow"),
    [
        (lambda x: x * (1 - x), lambda x, t: x / (x + (1 - x) * mpmath.exp(-t))),
        (lambda x: x * x, lambda x, t: x / (1 - x * t)),
        (lambda x: -x * x * x, lambda x, t: x / mpmath.sqrt(1 + 2 * x * x * t)),
    ],
    ids=["logistic", "explosion", "cubic"],
)
def test_local_error_is_of_order_5(drift, flow):
    """And that of the midpoint rule, wrong on purpose, is of order 3."""

    def midpoint(x, time):
        return x + time * drift(x + time / 2 * drift(x))

    with mpmath.workdps(60):
        x = mpmath.mpf(1) / 5
        for step, order in ((lambda t: runge_kutta_step(drift, x, t), 5), (lambda t: midpoint(x, t), 3)):
            errors = [abs(step(t) - flow(x, t)) for t in (mpmath.mpf(2) ** -16, mpmath.mpf(2) ** -17)]
            assert float(mpmath.log(errors[0] / errors[1], 2)) == pytest.approx(order, abs=1e-3)


def test_arrays_of_any_kind():
    """Tensors, and arrays of numbers in many digits: the same, as far as doubles reach."""
    x = np.linspace(-1, 2, 6).reshape(3, 2)
    double = runge_kutta_step(lambda y: y - y**3, torch.from_numpy(x), 0.25)
    assert double.dtype == torch.float64
    with mpmath.workdps(40):
        many = np.array([[mpmath.mpf(entry) for entry in row] for row in x], dtype=object)
        found = runge_kutta_step(lambda y: y - y**3, many, mpmath.mpf(1) / 4)
    np.testing.assert_allclose(found.astype(float), double, rtol=0, atol=1e-15)


def test_time_is_a_further_coordinate_whose_drift_is_1():
    """The autonomous step in ``(t, x)``; and the local error for ``dx/dt = t x`` is of order 5."""
    found = timed_runge_kutta_step(lambda t, x: np.sin(t) * x**2, 0.3, 0.7, 0.2)
    longer = runge_kutta_step(lambda y: np.array([1.0, np.sin(y[0]) * y[1] ** 2]), np.array([0.3, 0.7]), 0.2)
    assert found == pytest.approx(longer[1], rel=1e-14)
    with mpmath.workdps(60):
        start = mpmath.mpf(1) / 2
        errors = [
            abs(timed_runge_kutta_step(lambda t, x: t * x, start, mpmath.mpf(1), h) - mpmath.exp(h * (start + h / 2)))
            for h in (mpmath.mpf(2) ** -16, mpmath.mpf(2) ** -17)
        ]
        assert float(mpmath.log(errors[0] / errors[1], 2)) == pytest.approx(5, abs=1e-3)
