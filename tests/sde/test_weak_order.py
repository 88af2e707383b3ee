"""The measured orders of theory, section 4, and the wrong models that must fail."""

import itertools
import json
import math
import re

import numpy as np
import pytest
import torch

from eigensam.landscapes import InputError, TiltedTorus, Valley
from eigensam.sde import RULES, Rule, expected_order, find_rule, observed_slopes, step_count, verify_on_torus
from eigensam.sde.weak_order import TOLERANCE

SAM = find_rule("sam")


@pytest.mark.parametrize(
    ("beta", "order", "slope"),
    [(1 / 3, 1, 1 / 3), (1 / 3, 2, 2 / 3), (1 / 3, 3, 1.0), (1 / 2, 1, 0.5), (1 / 2, 2, 1.0), (1 / 2, 3, 1.0)],
)
def test_slopes_of_sam_on_the_two_dimensional_torus(beta, order, slope):
    result = verify_on_torus(SAM, order, beta)
    assert result.etas == [2.0**-k for k in range(3, 10)]
    assert result.slopes[-1] == pytest.approx(slope, abs=0.05)
    assert result.expected == pytest.approx(slope)
    assert result.verdict == "pass"
    assert result.discretisation < 2e-3


@pytest.mark.parametrize(
    ("coefficients", "beta", "falls_to"),
    [((1, 1, 0.25), 1 / 3, 2 / 3), ((1, 0.5), 1 / 2, 1 / 2), ((0.5, 1, 0.5), 1 / 3, 0.0), ((1, 1, -0.5), 1 / 3, 2 / 3)],
)
def test_wrong_coefficients_fail(coefficients, beta, falls_to):
    result = verify_on_torus(SAM, len(coefficients), beta, coefficients=coefficients)
    assert result.verdict == "fail"
    assert result.slopes[-1] == pytest.approx(falls_to, abs=0.1)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_rule_has_its_order(rule, order):
    result = verify_on_torus(rule, order, 1 / 3)
    assert result.expected == pytest.approx(min(1, order / 3) if rule.perturbed else 1)
    assert result.verdict == "pass", result.slopes


def test_noise_changes_the_constant_only():
    """Theory, section 3: gradient flow with the same drift has order 1 too, and is worse by a factor."""
    with_noise, without = (verify_on_torus(SAM, 3, 1 / 3, noise=noise) for noise in (True, False))
    assert without.slopes[-1] == pytest.approx(1.0, abs=0.05)
    assert without.errors[-1] > 3 * with_noise.errors[-1]


def test_errors_against_direct_simulation_of_the_chain():
    """One weak error, once more by another road: the chain by 10^5 sampled paths, the flow without noise."""
    f, eta, rho, steps = TiltedTorus.default(1), 0.125, 0.8 * 0.125**0.5, 8
    result = verify_on_torus(SAM, 1, 1 / 2, landscape=f, etas=[0.125, 0.0625])
    generator = torch.Generator().manual_seed(0)
    starts = torch.linspace(0, 2 * math.pi, 22, dtype=torch.float64)[:-1]
    x = starts.repeat_interleave(5_000)[:, None]
    member = lambda n: torch.randint(3, (n,), generator=generator)  # noqa: E731
    from eigensam.sde import exact_increments, moments, truncated_increments

    for _ in range(steps):
        h = exact_increments(f, SAM, x[:, None], rho)
        x = x + eta * h[torch.arange(len(x)), member(len(x))]
    y = starts.repeat_interleave(5_000)[:, None]
    fine = 10
    for _ in range(steps * fine):  # Euler-Maruyama of the SDE with a ten times smaller step
        b, sigma = moments(truncated_increments(f, SAM, y[:, None], rho, (1.0,)))
        dw = torch.randn(y.shape, generator=generator, dtype=y.dtype) * (eta / fine) ** 0.5
        y = y + b * eta / fine + (eta * sigma[..., 0]).sqrt() * dw
    phi = lambda z: torch.sin(z[:, 0]) + 0.5 * torch.cos(z[:, 0])  # noqa: E731
    sampled = (phi(x) - phi(y)).view(21, -1).mean(1).abs().max().item()
    # phi is one of the three test functions and T one of the times: a lower bound up to 1e-2 of noise and step error
    assert 0.3 * result.errors[0] < sampled < result.errors[0] + 0.02


def test_expected_orders():
    assert expected_order(SAM, 3, 1 / 3) == pytest.approx(1)
    assert expected_order(SAM, 3, 1.0) == 1  # capped
    assert expected_order(find_rule("sgd"), 1, 0.1) == 1


def test_observed_slopes():
    etas = np.array([0.5, 0.25, 0.1])
    assert observed_slopes(etas, 7 * etas**1.5) == pytest.approx([1.5, 1.5])
    assert math.isnan(observed_slopes([0.5, 0.25], [0.0, 1.0])[0])


def test_one_dimension_and_progress():
    seen = []
    result = verify_on_torus(
        SAM, 2, 1 / 2, landscape=TiltedTorus.default(1), progress=lambda done, total: seen.append((done, total))
    )
    assert abs(result.slopes[-1] - 1) <= TOLERANCE
    assert seen[0] == (0, 8)
    assert seen[-1] == (8, 8)
    assert json.loads(json.dumps(result.to_dict()))["verdict"] == "pass"


def test_too_coarse_a_grid_is_inconclusive():
    assert verify_on_torus(SAM, 3, 1 / 2, resolution=3).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"drift_order": 4}, "drift order 4 is not available; choose 1, 2 or 3"),
        ({"rho_exponent": 0}, "rho exponent 0 is not positive"),
        ({"rho_exponent": float("nan")}, "rho exponent nan is not positive"),
        ({"rho_scale": -1.0}, "rho scale -1.0 is not positive; the perturbation radius rho must be > 0"),
        ({"etas": [0.125]}, "at least two and decreasing"),
        ({"etas": [0.125, 0.25]}, "at least two and decreasing"),
        ({"etas": [0.3, 0.1]}, "eta = 0.3 does not divide T = 1: T/eta = 3.33333; use e.g. eta = 0.333333"),
        ({"etas": [0.5, -0.1]}, "eta = -0.1 is not positive"),
        ({"etas": [0.5, 1e-9]}, "steps are too many"),
        ({"horizon": 0.0}, "T = 0 is not a positive time"),
        ({"rho_scale": 1e300}, "perturbation radius rho must stay within [1e-06, 1000] to be seen"),
        ({"rho_exponent": 1000}, "must stay within"),
        ({"landscape": Valley()}, "found Valley; the torus method needs a TiltedTorus"),
        ({"resolution": 20}, "resolution 20 is not an odd number"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        verify_on_torus(SAM, **{"drift_order": 3, "rho_exponent": 1 / 3, **arguments})


def test_a_rule_without_values():
    with pytest.raises(InputError, match="rule 'nan' gives values that are not finite"):
        verify_on_torus(Rule("nan", lambda g: g / 0.0 * 0.0), 2, 0.5, landscape=TiltedTorus.default(1))


def test_a_slope_above_the_prediction_fails_too():
    """Order 1 where the caller's rule claims to need rho: the third-order SDE judged as if it were the second."""
    result = verify_on_torus(SAM, 2, 1 / 3, coefficients=(1, 1, 0.5))
    assert result.slopes[-1] > result.expected + TOLERANCE
    assert result.verdict == "fail"


def test_the_tolerance_separates_small_errors():
    """A second-order coefficient that is 0.2 % off moves the slope by less than the gap, by more than the tolerance."""
    result = verify_on_torus(SAM, 3, 1 / 3, coefficients=(1, 0.998, 0.5))
    assert TOLERANCE < abs(result.slopes[-1] - 1) < 0.3
    assert result.verdict == "fail"


def test_the_error_is_the_largest_over_all_steps():
    """With a horizon that ends earlier the maximum is taken over fewer steps, so it cannot be larger."""
    f = TiltedTorus.default(1)
    errors = [
        verify_on_torus(SAM, 1, 0.5, landscape=f, horizon=t, etas=[0.25, 0.125]).errors for t in (0.5, 1, 2, 4, 8)
    ]
    for shorter, longer in itertools.pairwise(errors):
        assert all(a <= b for a, b in zip(shorter, longer, strict=True))


def test_a_step_larger_than_the_horizon():
    with pytest.raises(InputError, match="eta = 2 does not divide T = 1"):
        step_count(1.0, 2.0)
