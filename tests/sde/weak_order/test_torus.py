"""The measured orders of theory, section 4, and the wrong models that must fail."""

import itertools
import json
import math
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from eigensam.ground import InputError
from eigensam.landscapes import Quadratic, TiltedTorus, Valley
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
    verify_one_step,
)
from eigensam.sde.rules import direction, grad, inner, loss, rho
from eigensam.sde.weak_order.claim import ETAS, Claim
from eigensam.sde.weak_order.torus import periodic_test_functions
from eigensam.sde.weak_order.torus_errors import TorusErrors
from eigensam.sde.weak_order.torus_steps import Steps

SAM = find_rule("sam")
THIRD = truncate(SAM, "1/3", 3)
QUIET = Steps(lambda done, total: None, 1)
ETAS_FINE = [2.0**-k for k in range(9, 12)]
VALUES = {"alpha": 0.2, "v": torch.tensor([1.0, 0.0], dtype=torch.float64)}


def values_of(rule, dim=2):
    given = {"alpha": 0.2, "v": VALUES["v"][:dim]}
    return {name: given[name] for name in (*rule.parameters, *rule.directions)}


def changed(sde, part, factors):
    """The SDE with some coefficients of one part multiplied."""
    return replace(sde, **{part: {k: c * Fraction(factors.get(k, 1)) for k, c in getattr(sde, part).items()}})


@pytest.mark.parametrize(
    ("beta", "order", "slope"),
    [("1/3", 1, 1 / 3), ("1/3", 2, 2 / 3), ("1/3", 3, 1.0), ("1/2", 1, 0.5), ("1/2", 2, 1.0), ("1/2", 3, 1.0)],
)
def test_slopes_of_sam_on_the_two_dimensional_torus(beta, order, slope):
    result = verify_on_torus(truncate(SAM, beta, order))
    assert result.etas == [2.0**-k for k in range(4, 17, 2)]
    assert result.slopes[-1] == pytest.approx(slope, abs=0.05)
    assert result.expected == pytest.approx(slope)
    assert result.verdict == "pass"
    assert result.details["discretisation"] < 0.0175


def test_order_2_sde_of_sam():
    """New: at rho = c eta^(2/3) third-order drift, correction and covariance to rho have order 2."""
    result = verify_on_torus(derive(SAM, 2, "2/3"))
    assert result.slopes[-1] >= 1.9
    assert result.slopes[-1] == pytest.approx(2.0, abs=0.05)
    assert result.verdict == "pass"


@pytest.mark.parametrize(
    ("part", "value", "order"),
    [
        ("correction_order", 0, 1),
        ("diffusion_order", 0, 1),
        ("drift_order", 2, 4 / 3),
        ("correction_order", 1, 5 / 3),
        ("diffusion_order", 1, 5 / 3),
    ],
)
def test_what_order_2_needs(part, value, order):
    """Without correction 1, without noise 1, and each power of rho less costs what the proof says."""
    orders = {"drift_order": 3, "correction_order": 2, "diffusion_order": 2, part: value}
    result = verify_on_torus(truncate(SAM, "2/3", **orders), etas=ETAS[2:6])
    assert result.expected == pytest.approx(order)
    assert result.slopes[-1] == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize(
    ("part", "factors"),
    [
        ("correction", {0: -1, 1: -1}),
        ("diffusion", {0: 2, 1: 2}),
        ("increments", {2: Fraction(1, 2)}),
    ],
)
def test_wrong_coefficients_of_order_2_fail(part, factors):
    result = verify_on_torus(changed(derive(SAM, 2, "2/3"), part, factors), etas=ETAS_FINE, expected=2)
    assert result.verdict == "fail"
    assert result.slopes[-1] < 1.85


def test_diffusion_does_not_matter_at_order_1():
    """Scaled by 2 it keeps the slope: at order 1 no verification can catch that."""
    assert verify_on_torus(changed(THIRD, "diffusion", {0: 2, 1: 2, 2: 2})).verdict == "pass"


@pytest.mark.parametrize(
    ("factors", "beta", "falls_to"),
    [
        ({2: Fraction(1, 2)}, "1/3", 2 / 3),
        ({1: Fraction(1, 2)}, "1/2", 1 / 2),
        ({0: Fraction(1, 2)}, "1/3", 0.0),
        ({2: -1}, "1/3", 2 / 3),
    ],
)
def test_wrong_coefficients_fail(factors, beta, falls_to):
    wrong = changed(derive(SAM, 1, beta), "increments", factors)
    result = verify_on_torus(wrong, expected=1)
    assert result.verdict == "fail"
    assert result.slopes[-1] == pytest.approx(falls_to, abs=0.1)
    assert wrong.weak_order == pytest.approx(falls_to)  # the proof says so, too


def test_the_sde_of_another_rule_fails():
    wrong = replace(truncate(RULES["usam"], "1/3", 3), rule=SAM)
    assert verify_on_torus(wrong, expected=1).verdict == "fail"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("order", [2, 3])
def test_every_rule_has_its_order(rule, order):
    result = verify_on_torus(truncate(rule, "1/3", order), etas=ETAS[3:], resolution=17, values=values_of(rule))
    assert result.expected == pytest.approx(
        1 if rule.name == "sgd" or (rule.name == "egr" and order > 1) else order / 3
    )
    assert result.verdict == "pass", result.slopes


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_has_an_sde_of_order_2(rule):
    """In one dimension, where it is fast; two dimensions for SAM above."""
    f = TiltedTorus.default(1)
    result = verify_on_torus(derive(rule, 2, "2/3"), landscape=f, etas=ETAS_FINE, values=values_of(rule, 1))
    assert result.slopes[-1] == pytest.approx(2.0, abs=0.1), result.slopes


def test_noise_changes_the_constant_only():
    """Theory, section 3: gradient flow with the same drift has order 1 too, and is worse by a factor."""
    with_noise, without = (verify_on_torus(truncate(SAM, "1/3", 3, diffusion_order=m)) for m in (3, 0))
    assert without.slopes[-1] == pytest.approx(1.0, abs=0.05)
    assert without.errors[-1] > 3 * with_noise.errors[-1]


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


def test_too_coarse_a_grid_is_inconclusive():
    assert verify_on_torus(truncate(SAM, "1/2", 3), resolution=3).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho_scale": -1.0}, "rho scale -1.0 is not positive; the perturbation radius rho must be > 0"),
        ({"etas": [0.125]}, "at least two and decreasing"),
        ({"etas": [0.125, 0.25]}, "at least two and decreasing"),
        ({"etas": [0.3, 0.1]}, "eta = 0.3 does not divide T = 1: T/eta = 3.33333; use e.g. eta = 0.333333"),
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
        verify_on_torus(**{"sde": THIRD, **arguments})


def test_a_rule_without_values():
    """Its norm vanishes on the torus, where the direction is orthogonal to the gradient."""
    singular = Rule("nan", grad(rho * grad() / inner(grad(), direction("v")) ** Fraction(1, 2)))
    with pytest.raises(InputError, match=r"rule 'nan' needs inner\(g, v\) away from 0, which changes sign"):
        verify_on_torus(truncate(singular, "1/2", 2), values={"v": torch.tensor([0.0, 1.0], dtype=torch.float64)})


def test_a_slope_above_the_claim_does_not_pass():
    """A claim is confirmed, not only reached: the third-order SDE is better than 2/3, which refutes nothing."""
    result = verify_on_torus(THIRD, expected=2 / 3)
    assert result.slope > result.expected + TOLERANCE
    assert result.verdict == "inconclusive"
    assert "better than the expected 0.667" in result.reason


def test_waves_that_no_coarse_grid_sees():
    """Frequency 34 is constant on a grid of 17 points: the first grid sees every wave of the landscape."""
    f = TiltedTorus([[2.0], [3.0]], [[34]], [[0.004], [0.0001]], [[0.3], [0.2]])
    result = verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f, etas=[1 / 64, 1 / 128])
    assert result.details["resolution"] > 2 * 34
    with pytest.raises(InputError, match="resolution 21 does not see the landscape's waves; give at least 69"):
        verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f, resolution=21)
    high = TiltedTorus([[900.0, 0.0]], [[300, 0]], [[1.0]], [[0.0]])
    with pytest.raises(InputError, match="waves need a resolution of 601"):
        verify_on_torus(THIRD, landscape=high)


def test_increments_that_go_round_and_round():
    f = TiltedTorus([[1e6]], [[1]], [[1e3]], [[0.0]])
    with pytest.raises(InputError, match=r"increments of 1e\+06.* steps until T = 1"):
        verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f)


def test_the_tolerance_separates_small_errors():
    """A second-order coefficient that is 0.2 % off is hardly seen at 2^-8 and 2^-10, and well at 2^-16."""
    result = verify_on_torus(changed(THIRD, "increments", {1: Fraction(998, 1000)}), expected=1)
    assert abs(result.slopes[2] - 1) < 0.2
    assert result.verdict == "fail"


def test_the_error_is_the_largest_over_all_steps():
    """With a horizon that ends earlier the maximum is taken over fewer steps, so it cannot be larger."""
    f = TiltedTorus.default(1)
    errors = [
        verify_on_torus(truncate(SAM, "1/2", 1), landscape=f, horizon=t, etas=[0.25, 0.125]).errors for t in (0.5, 1, 2)
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
    found = verify_on_torus(sde, landscape=f, etas=etas, resolution=n - 4)  # the finer of two grids is reported
    assert found.details["resolution"] == n
    assert found.errors == pytest.approx(dense_errors(sde, f, etas, n), rel=1e-9)


def test_small_step_sizes():
    """2^-16 and order 2: sixty-five thousand steps, an error of 2e-10, three digits above rounding."""
    result = verify_on_torus(derive(SAM, 2, "2/3"), etas=[2.0**-12, 2.0**-14, 2.0**-16])
    assert result.slopes == pytest.approx([2.0, 2.0], abs=0.01)
    assert result.details["rounding"] < 0.0175 * result.errors[-1]


def test_memory_that_does_not_suffice():
    """Sharp ripples and little memory: the largest grid that fits is too coarse, and the verdict says by how much."""
    f = TiltedTorus([[9.0, 1.0]], [[16, 1], [1, 0]], [[0.3, 0.3]], [[0.0, 0.5]])
    result = verify_on_torus(
        truncate(RULES["usam"], "1/2", 2), landscape=f, etas=[1 / 8, 1 / 16, 1 / 32], horizon=1 / 8, memory=1e8
    )
    assert result.verdict == "inconclusive"
    assert re.search(r"still changes by .* of itself at resolution \d+; the next grid needs .* GiB", result.reason)


def test_the_bound_of_rounding_holds():
    """At rho^0 and one minibatch without ripples rule and SDE are the same shift: all that is left is rounding."""
    f = TiltedTorus([[1.0, 0.3]], [[1, 0]], [[0.0]], [[0.0]])
    result = verify_on_torus(derive(find_rule("sgd"), 1, 1), landscape=f, etas=[2.0**-k for k in (4, 8, 12)])
    assert result.verdict == "inconclusive"
    assert "not far above rounding" in result.reason
    assert max(result.errors) <= result.details["rounding"]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("order", "slope"), [(2, 2 / 3), (3, 1.0)])
def test_other_landscapes(seed, order, slope):
    f = TiltedTorus.random(2, size=2 + seed, seed=seed)
    result = verify_on_torus(truncate(SAM, "1/3", order), landscape=f, etas=ETAS_FINE)
    assert result.slope == pytest.approx(slope, abs=0.05)


def test_three_dimensions():
    f, etas = TiltedTorus.default(3), [2.0**-6, 2.0**-8, 2.0**-10]
    right = verify_on_torus(truncate(SAM, "1/2", 2), landscape=f, etas=etas, resolution=5)
    assert right.slope == pytest.approx(1, abs=0.05)
    wrong = verify_on_torus(truncate(SAM, "1/2", 1), landscape=f, etas=etas, resolution=5, expected=1)
    assert wrong.slope == pytest.approx(0.5, abs=0.06)
    assert wrong.verdict != "pass"


def test_a_test_function_of_ones_own():
    f = TiltedTorus.default(1)
    result = verify_on_torus(THIRD, landscape=f, test_functions=lambda x: (x.sin() + x.cos()).exp())
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
        verify_on_torus(THIRD, test_functions=functions)


UNTILTED = TiltedTorus(
    tilts=[[0.3, 0.0], [0.2, 0.1]],
    frequencies=[[1, 0], [0, 1]],
    amplitudes=[[0.5, 0.4], [0.6, 0.5]],
    phases=[[0.0, 1.0], [0.5, 2.0]],
)


def test_a_vanishing_gradient():
    """SGD and USAM do not mind; SAM divides by |g|, which is zero between grid points: refused before any step."""
    usam = verify_on_torus(truncate(RULES["usam"], "1/2", 2), landscape=UNTILTED)
    assert usam.verdict == "pass", usam.reason
    seen = []
    with pytest.raises(InputError, match=r"needs norm\(g\) away from 0, which is 0\.\d+ at x = .* of minibatch 2"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=UNTILTED, progress=lambda *each: seen.append(each))
    assert len(seen) == 1  # at the start


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_without_tilts_every_dimension_is_refused(dim):
    f = TiltedTorus(np.zeros((2, dim)), np.eye(dim, dtype=int), np.full((2, dim), 0.5), np.full((2, dim), 0.3))
    with pytest.raises(InputError, match=r"give tilts that exceed the ripples .*gradient_floor > 0.*critical point"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=f)


def test_a_zero_in_the_middle_of_a_cell_of_three_dimensions():
    """|g| is 0 half-way between grid points and larger than its change along each axis: the axes together tell."""
    spacing = 2 * math.pi / 13
    tilt, phase = math.sin(spacing / 4), 3 * spacing / 4
    f = TiltedTorus([[tilt] * 3], np.eye(3, dtype=int).tolist(), [[-1.0] * 3], [[-phase] * 3])
    zero = torch.full((3,), spacing / 2, dtype=torch.float64)
    assert f.gradient(zero).abs().max() < 1e-12
    with pytest.raises(InputError, match=r"which is 0\.\d+ at x = .*: it vanishes nearby, or cannot be told from zero"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=f)
    floor = TiltedTorus.default(3)
    claim = Claim.checked(truncate(SAM, "1/2", 2), floor, [1 / 8, 1 / 16], 0.8, None, None)
    assert TorusErrors(claim, floor, [1.0], periodic_test_functions, drift_and_covariance, QUIET).may_vanish(13) == ""


def test_a_gradient_that_vanishes_on_the_grid():
    at_zero = TiltedTorus([[0.0, 0.0]], [[1, 0], [0, 1]], [[1.0, 1.0]], [[0.0, 0.0]])
    with pytest.raises(InputError, match=r"rule 'sam' needs norm\(g\) away from 0, which falls to 0 among the points"):
        verify_on_torus(truncate(SAM, "1/2", 2), landscape=at_zero)


def test_memory():
    with pytest.raises(InputError, match=r"resolution 1001 needs [\d.]+ GiB and the limit is 2 GiB: give a smaller"):
        verify_on_torus(THIRD, resolution=1001)


def test_coefficients_of_ones_own():
    """The same numbers written by hand pass; with the diffusion left out at order 2 they do not."""

    def by_hand(f, sde, x, rho, eta, values):
        b, sigma = drift_and_covariance(f, sde, x, rho, eta, values)
        return b, torch.zeros_like(sigma)

    sde = derive(SAM, 2, "2/3")
    f = TiltedTorus.default(1)
    assert verify_on_torus(sde, landscape=f, coefficients=lambda *a: drift_and_covariance(*a)).verdict == "pass"
    assert verify_on_torus(sde, landscape=f, coefficients=by_hand).verdict == "fail"


def test_a_slope_on_its_way_is_not_a_failure():
    """At large step sizes the right SDE's slope is 0.9 and moves to 1: inconclusive, not fail; nor with one slope."""
    result = verify_on_torus(THIRD, etas=[1 / 4, 1 / 8, 1 / 16])
    assert result.verdict == "inconclusive"
    assert "it still moves towards 1.000" in result.reason
    short = verify_on_torus(THIRD, etas=[2.0**-15, 2.0**-16])
    assert short.verdict == "inconclusive"
    assert "one alone does not show whether it has settled" in short.reason


# -- purchases of a verdict


def tenth_more(f, sde, x, rho, eta, values):
    """SAM's third-order coefficient times 1.1: order 2/3."""
    return drift_and_covariance(f, changed(sde, "increments", {2: Fraction(11, 10)}), x, rho, eta, values)


def test_a_window_in_which_two_terms_cancel():
    """From 2^-3 to 2^-9 the slope is 1.002; the errors as functions, and smaller step sizes, say why."""
    wrong = verify_on_torus(THIRD, coefficients=tenth_more)
    assert wrong.verdict == "fail"
    assert wrong.slope == pytest.approx(0.661, abs=0.01)
    window = verify_on_torus(THIRD, coefficients=tenth_more, etas=[2.0**-k for k in range(3, 10)])
    assert window.slope == pytest.approx(1.002, abs=0.002)
    assert window.verdict != "pass"
    assert window.details["laws"][0]["verdict"] == "inconclusive"
    assert "terms of other orders cancel" in window.details["laws"][0]["reason"]
    right = verify_on_torus(THIRD)
    assert right.verdict == "pass"
    assert [law["rho_scale"] for law in right.details["laws"]] == [0.8, 1.0]
    assert max(v["change"] for v in right.details["visible"]) < 0.05


@pytest.mark.parametrize("scale", [1e-4, 1e-3])
def test_a_radius_so_small_that_nothing_is_seen(scale):
    wrong = verify_on_torus(truncate(SAM, "1/3", 2), landscape=TiltedTorus.default(1), rho_scale=scale, expected=1)
    assert wrong.slope == pytest.approx(1, abs=0.05)
    assert wrong.verdict == "inconclusive"
    assert "rho^2 of the drift, without which the order is 2/3, could be wrong by" in wrong.reason


def test_a_radius_so_large_that_nothing_has_begun():
    """The right SDE: it must not fail, and where its coefficients explode it is refused."""
    one = TiltedTorus.default(1)
    assert verify_on_torus(THIRD, landscape=one, rho_scale=3.0).verdict != "fail"
    assert verify_on_torus(THIRD, landscape=one, rho_scale=3.0, etas=[1 / 4, 1 / 8, 1 / 16]).verdict != "fail"
    with pytest.raises(InputError, match="at most 1e\\+05 are computed: give a shorter T, a smaller rho scale"):
        verify_on_torus(THIRD, landscape=one, rho_scale=300.0)


def test_test_functions_that_do_not_feel_the_wrong_term():
    """The second coordinate has its own minibatch gradients, which the perturbation does not enter."""
    f = TiltedTorus([[1.5, 1.0], [1.2, 0.8]], [[1, 0]], [[0.4], [0.3]], [[0.0], [1.0]])
    usam = truncate(RULES["usam"], "1/3", 3, diffusion_order=0)  # whose error they see
    result = verify_on_torus(usam, landscape=f, test_functions=lambda x: torch.stack([x[:, 1].sin(), x[:, 1].cos()], 1))
    assert result.verdict == "inconclusive"
    assert "has no influence at all" in result.reason


def test_a_landscape_on_which_the_wrong_term_vanishes():
    """On a quadratic there is no third derivative, and SAM's SDE without rho^2 has the order of the whole one."""
    f = Quadratic([[2.0, 0.5], [0.5, 1.0]], centres=[[0.0, 0.0], [1.0, 1.0]])
    result = verify_one_step(truncate(SAM, "1/3", 2), landscape=f, expected=1)
    assert result.slope == pytest.approx(2, abs=0.01)
    assert result.verdict == "inconclusive"
    assert "rho^2 of the drift, without which the order is 2/3, has no influence at all" in result.reason


def test_coefficients_that_are_right_at_one_scale_alone():
    """rho^2 written as 0.64 eta^(2/3): at the scale of 0.8 nobody can tell."""

    def written(f, sde, x, rho, eta, values):
        less = replace(sde, increments={k: c for k, c in sde.increments.items() if k < 2})
        only = replace(sde, increments={2: sde.increments[2]})
        b, sigma = drift_and_covariance(f, less, x, rho, eta, values)
        return b + drift_and_covariance(f, only, x, 0.8 * eta ** (1 / 3), eta, values)[0], sigma

    result = verify_on_torus(THIRD, landscape=TiltedTorus.default(1), coefficients=written)
    assert result.slope == pytest.approx(1, abs=0.05)
    assert [law["verdict"] for law in result.details["laws"]] == ["pass", "fail"]
    assert result.verdict == "fail"
    assert result.reason.startswith("at rho scale 1: ")


@pytest.mark.parametrize("scale", [2.0, 2.5])
def test_a_right_sde_that_explodes_at_large_steps_does_not_fail(scale):
    """The rule's own expectations are tame there, the SDE's are not; with smaller steps both settle."""
    f = TiltedTorus.random(1, size=5, terms=1, highest_frequency=3, seed=689)
    sde = derive(RULES["usam"], 1, "1/4")
    large = verify_on_torus(sde, landscape=f, rho_scale=scale, etas=[1 / 4, 1 / 8, 1 / 16], resolution=25)
    assert large.verdict == "inconclusive"
    assert any("the expectations themselves do not converge yet" in law["reason"] for law in large.details["laws"])
