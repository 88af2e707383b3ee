"""Results print their numbers, become JSON, and draw themselves."""

import json

import numpy as np
import pytest
import torch

from eigensam.landscapes import Quadratic
from eigensam.sde import affine_moments, coefficients, derive, divisors, find_rule, verify_moments, verify_one_step
from eigensam.sde.weak_order.slope_fit import fit_slope

F = Quadratic([[2.0, 0.5], [0.5, 1.0]], centres=[[0.0, 0.0], [1.0, 1.0]])
USAM = derive(find_rule("usam"), 1, "1/2")
ETAS = [1 / 8, 1 / 16, 1 / 32]


@pytest.fixture(scope="module")
def found():
    return verify_moments(USAM, F, etas=ETAS)


def test_the_verdict_then_a_table(found):
    first, heading, *rows = str(found).splitlines()
    assert first == f"usam by moments: {found.verdict}: {found.reason}"
    assert heading.split() == ["eta", "weak", "error", "slope"]
    assert [row.split() for row in rows] == [
        [f"{eta:.6g}", f"{error:.4g}", *([f"{found.slopes[i - 1]:.3f}"] if i else [])]
        for i, (eta, error) in enumerate(zip(found.etas, found.errors, strict=True))
    ]
    assert repr(found).startswith("WeakOrder(rule='usam', method='moments', verdict=")
    assert "\n" not in repr(found)


def test_a_local_error_is_called_so():
    sde = derive(find_rule("usam"), 1, "1/2")
    assert "local error" in str(verify_one_step(sde, F, etas=[2.0**-20, 2.0**-24, 2.0**-28]))


def test_it_draws_itself(found):
    (axes,) = found.plot().axes
    assert list(axes.lines[0].get_ydata()) == found.errors


def test_other_results():
    x = torch.ones(2, dtype=torch.float64)
    at = coefficients(F, USAM, x, 0.5)
    shapes = "increments: (2, 2), correction: (2,), covariance: (2, 2)"
    assert repr(at) == f"Coefficients({shapes}; torch.float64 on cpu)"
    assert json.loads(json.dumps(at.to_dict()))["covariance"] == at.covariance.tolist()
    fit = fit_slope([0.5, 0.25], np.array([0.2, 0.05]), 1e-8 * np.eye(2), 0.95)
    assert str(fit) == "slope 2.000 +- 0.0058"
    assert json.loads(json.dumps(fit.to_dict())) == {"slope": fit.slope, "half_width": fit.half_width, "last": 1}
    (divisor,) = divisors(find_rule("sam"), F, 3 * x[None], 0.1, 0.2)
    assert str(divisor).startswith("norm(g): between ")
    assert json.loads(json.dumps(divisor.to_dict()))["smallest"] == divisor.smallest
    moments = affine_moments(USAM, F, eta=0.25, horizon=1.0, rho=0.1)
    assert repr(moments) == f"Moments(dim=2, error={moments.error():.4g})"
    assert json.loads(json.dumps(moments.to_dict()))["chain"] == moments.chain.tolist()
