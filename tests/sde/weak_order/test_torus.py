"""The torus method against dense matrices and simulation; what it refuses."""

import itertools
import json
import math
import re

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from eigensam.ground import InputError
from eigensam.landscapes import TiltedTorus, Valley
from eigensam.sde import (
    RULES,
    TOLERANCE,
    Rule,
    derive,
    drift_and_covariance,
    exact_increments,
    find_rule,
    observed_slopes,
    step_count,
    truncate,
    verify_on_torus,
)
from eigensam.sde.rules import grad, loss
from eigensam.sde.weak_order.plans import TorusPlan
from eigensam.sde.weak_order.torus import periodic_test_functions

from .changed import SAM, THIRD
from .planned import planned


def test_errors_against_direct_simulation_of_the_chain():
    """One weak error, once more by another road: the chain by 10^5 sampled paths, the SDE by Euler-Maruyama."""
    f, eta, radius, steps = TiltedTorus.default(1), 0.125, 0.8 * 0.125**0.5, 8
    result = verify_on_torus(truncate(SAM, "1/2", 1), landscape=f, etas=[0.125, 0.0625])
    generator = torch.Generator().manual_seed(0)
    starts = torch.linspace(0, 2 * math.pi, 22, dtype=torch.float64)[:-1]
    x = starts.repeat_interleave(5_000)[:, None]
    minibatch = lambda n: torch.randint(3, (n,), generator=generator)  # noqa: E731
    for _ in range(steps):
        h = exact_increments(f, SAM, x[:, None], radius)
        x = x + eta * h[torch.arange(len(x)), minibatch(len(x))]
    y = starts.repeat_interleave(5_000)[:, None]
    fine = 10
    for _ in range(steps * fine):  # Euler-Maruyama of the SDE with a ten times smaller step
        b, sigma = drift_and_covariance(f, truncate(SAM, "1/2", 1), y[:, None], radius, eta)
        dw = torch.randn(y.shape, generator=generator, dtype=y.dtype) * (eta / fine) ** 0.5
        y = y + b * eta / fine + (eta * sigma[..., 0]).sqrt() * dw
    phi = lambda z: torch.sin(z[:, 0]) + 0.5 * torch.cos(z[:, 0])  # noqa: E731
    sampled = (phi(x) - phi(y)).view(21, -1).mean(1).abs().max().item()
    # phi is one of the three test functions and T one of the times: a lower bound up to 1e-2 of noise and step error
    assert 0.3 * result.errors[0] < sampled < result.errors[0] + 0.02


def test_observed_slopes():
    etas = np.array([0.5, 0.25, 0.1])
    assert observed_slopes(etas, 7 * etas**1.5) == pytest.approx([1.5, 1.5])
    assert math.isnan(observed_slopes([0.5, 0.25], [0.0, 1.0])[0])


def test_one_dimension_and_progress():
    seen = []
    result = verify_on_torus(
        derive(SAM, 1, "1/2"), landscape=TiltedTorus.default(1), progress=lambda done, total: seen.append((done, total))
    )
    assert abs(result.slopes[-1] - 1) <= TOLERANCE
    assert seen[0] == (0, seen[0][1])
    done, total = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert seen[-1][0] == seen[-1][1] == total[0]
    assert json.loads(json.dumps(result.to_dict()))["verdict"] == "pass"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho_scale": -1.0}, "rho scale -1.0 is not positive; the perturbation radius rho must be > 0"),
        ({"etas": [0.125]}, "at least two and decreasing"),
        ({"etas": [0.125, 0.25]}, "at least two and decreasing"),
        ({"etas": [0.3, 0.1]}, "eta = 0.3 does not divide T = 1, which has 3.33333 of it; use e.g. eta = 0.333333"),
        ({"etas": [0.5, -0.1]}, "step sizes [0.5, -0.1] must be positive and finite"),
        ({"etas": [0.5, 1e-9]}, "steps are too many"),
        ({"horizon": 0.0}, "T = 0 is not a positive time"),
        ({"rho_scale": 1e300}, "perturbation radius rho must stay within [1e-06, 1000] to be seen"),
        ({"sde": truncate(SAM, 1000, 1)}, "must stay within"),
        ({"sde": derive(RULES["cr-sam"], 1, 1)}, "the symbol alpha is unbound"),
        ({"sde": SAM}, "found Rule; expected an SDE: derive(rule"),
        ({"sde": derive(Rule("r", loss() * grad()), 1, 1)}, "contains a loss, which is not periodic"),
        ({"landscape": Valley()}, "found Valley of dimension 2; the torus method needs a TiltedTorus"),
        ({"resolution": 20}, "resolution 20 is not an odd number"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_on_torus(**planned(TorusPlan, **{"sde": THIRD, **arguments}))


def test_waves_that_no_coarse_grid_sees():
    """Frequency 34 is constant on a grid of 17 points: the first grid sees every wave of the landscape."""
    f = TiltedTorus([[2.0], [3.0]], [[34]], [[0.004], [0.0001]], [[0.3], [0.2]])
    result = verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f, etas=[1 / 64, 1 / 128])
    assert result.details["resolution"] > 2 * 34
    with pytest.raises(InputError, match="resolution 21 does not see the landscape's waves; give at least 69"):
        verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f, plan=TorusPlan(resolution=21))
    high = TiltedTorus([[900.0, 0.0]], [[300, 0]], [[1.0]], [[0.0]])
    with pytest.raises(InputError, match="waves need a resolution of 601"):
        verify_on_torus(THIRD, landscape=high)


def test_increments_that_go_round_and_round():
    f = TiltedTorus([[1e6]], [[1]], [[1e3]], [[0.0]])
    with pytest.raises(InputError, match=r"increments of 1e\+06.* steps until T = 1"):
        verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f)


def test_the_error_is_the_largest_over_all_steps():
    """With a horizon that ends earlier the maximum is taken over fewer steps, so it cannot be larger."""
    f = TiltedTorus.default(1)
    errors = [
        verify_on_torus(truncate(SAM, "1/2", 1), landscape=f, etas=[0.25, 0.125], plan=TorusPlan(horizon=t)).errors
        for t in (0.5, 1, 2)
    ]
    for shorter, longer in itertools.pairwise(errors):
        assert all(a <= b for a, b in zip(shorter, longer, strict=True))


def test_a_step_larger_than_the_horizon():
    with pytest.raises(InputError, match="eta = 2 does not divide T = 1"):
        step_count(1.0, 2.0)


def dense_errors(sde, f, etas, n, horizon=1.0):
    """The slow twin: transition and generator as matrices, a loop over all steps, a dense exponential."""
    axis = 2 * np.pi * np.arange(n) / n
    points = np.stack(np.meshgrid(*[axis] * f.dim, indexing="ij"), -1).reshape(-1, f.dim)
    modes = np.arange(-(n // 2), n // 2 + 1)
    waves = np.stack(np.meshgrid(*[modes] * f.dim, indexing="ij"), -1).reshape(-1, f.dim)
    to_modes = np.exp(-1j * waves @ points.T) / len(points)

    def at(x):
        return np.exp(1j * x @ waves.T) @ to_modes

    starts = np.stack(np.meshgrid(*[2 * np.pi * np.arange(31) / 31] * f.dim, indexing="ij"), -1).reshape(-1, f.dim)
    at_starts, result = at(starts).real, []
    for eta in etas:
        x, rho = torch.from_numpy(points)[:, None], 0.8 * eta ** float(sde.rho_exponent)
        h = exact_increments(f, sde.rule, x, rho).numpy()
        b, sigma = (t.numpy() for t in drift_and_covariance(f, sde, x, rho, eta))
        p = np.mean([at(points + eta * h[:, m]).real for m in range(f.size)], 0)
        d = [(np.exp(1j * points @ waves.T) * (1j * waves[:, i]) @ to_modes).real for i in range(f.dim)]
        generator = sum(b[:, i, None] * d[i] for i in range(f.dim))
        generator = generator + sum(
            0.5 * eta * sigma[:, i, j, None] * (d[i] @ d[j]) for i in range(f.dim) for j in range(f.dim)
        )
        semigroup = expm(eta * generator)
        chained = evolved = periodic_test_functions(torch.from_numpy(points)).numpy()
        worst = 0.0
        for k in range(1, round(horizon / eta) + 1):
            chained, evolved = p @ chained, semigroup @ evolved
            if k % round(etas[0] * max(1, round(horizon / etas[0]) // 8) / eta) == 0:
                worst = max(worst, np.abs(at_starts @ (chained - evolved)).max())
        result.append(worst)
    return result


@pytest.mark.parametrize(("dim", "n"), [(1, 25), (2, 13)])
def test_against_dense_matrices(dim, n):
    """Every error, to rounding: the matrix-free operators are these matrices."""
    f, sde, etas = TiltedTorus.default(dim), derive(SAM, 2, "2/3"), [1 / 8, 1 / 32]
    found = verify_on_torus(
        sde, landscape=f, etas=etas, plan=TorusPlan(resolution=n - 4)
    )  # the finer of two grids is reported
    assert found.details["resolution"] == n
    assert found.errors == pytest.approx(dense_errors(sde, f, etas, n), rel=1e-9)


def test_a_test_function_of_ones_own():
    f = TiltedTorus.default(1)
    result = verify_on_torus(THIRD, landscape=f, plan=TorusPlan(test_functions=lambda x: (x.sin() + x.cos()).exp()))
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (lambda x: x**2, "a test function changes by"),
        (lambda x: x.sin().sum(-1), "expected floats of shape (49, K)"),
        (lambda x: torch.ones(len(x), 1, dtype=torch.int64), "torch.int64"),
        (lambda x: (x / 2).sin(), "when coordinate 1 grows by 2 pi; the torus method needs functions of period 2 pi"),
    ],
)
def test_unfit_test_functions(functions, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_on_torus(THIRD, plan=TorusPlan(test_functions=functions))


def test_memory():
    with pytest.raises(InputError, match=r"resolution 1001 needs [\d.]+ GiB and the limit is 2 GiB: give a smaller"):
        verify_on_torus(THIRD, plan=TorusPlan(resolution=1001))


def test_coefficients_of_ones_own():
    """The same numbers written by hand pass; with the diffusion left out at order 2 they do not."""

    def by_hand(f, sde, x, rho, eta, values):
        b, sigma = drift_and_covariance(f, sde, x, rho, eta, values)
        return b, torch.zeros_like(sigma)

    sde = derive(SAM, 2, "2/3")
    f = TiltedTorus.default(1)
    assert (
        verify_on_torus(sde, landscape=f, plan=TorusPlan(coefficients=lambda *a: drift_and_covariance(*a))).verdict
        == "pass"
    )
    assert verify_on_torus(sde, landscape=f, plan=TorusPlan(coefficients=by_hand)).verdict == "fail"
