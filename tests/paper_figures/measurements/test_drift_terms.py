"""Sizes of drift terms against closed forms."""

import numpy as np
import pytest
import torch

from eigensam.landscapes import FormulaLandscape, Quadratic
from eigensam.paper_figures.measurements.drift_terms import DRIFT_TERMS, DriftTerms
from eigensam.sde.simulation.networks.network_observables import NetworkObservables


def _terms(f, rho, x):
    found = DriftTerms(f, NetworkObservables(f, ["train loss"]), rho)(torch.tensor(x, dtype=torch.float64))
    return [found[name].tolist() for name in DRIFT_TERMS]


def test_one_dimension():
    """``f = x^4``: ``u = 1``, ``rho f'' = 12 rho x^2``, ``rho^2/2 f''' = 12 rho^2 x``."""
    import sympy

    x = sympy.Symbol("x")
    second, third, noise = _terms(FormulaLandscape([x], [x**4]), 0.5, [[1.0], [2.0]])
    assert second == pytest.approx([6.0, 24.0])
    assert third == pytest.approx([3.0, 6.0])
    assert noise == [0.0, 0.0]


def test_noise_is_the_root_of_the_trace_of_the_covariance():
    """Quadratic bowls around two centres: ``h = -H (x + rho u - c)``, written out with numpy."""
    matrix, centres, x, rho = np.diag([2.0, 1.0]), np.array([[1.0, 0.0], [-1.0, 0.5]]), np.array([0.3, 0.7]), 0.2
    g = (x - centres) @ matrix
    u = g / np.linalg.norm(g, axis=1, keepdims=True)
    h = -(x + rho * u - centres) @ matrix
    second, third, noise = _terms(Quadratic(matrix.tolist(), centres.tolist()), rho, [x.tolist()])
    assert noise == pytest.approx([np.trace(np.cov(h.T, bias=True)) ** 0.5])
    assert second == pytest.approx([np.linalg.norm(rho * (u @ matrix).mean(0))])
    assert third == pytest.approx([0.0], abs=1e-12)
    assert noise != pytest.approx([np.trace(np.cov(g.T, bias=True)) ** 0.5])  # wrong on purpose: SGD's
