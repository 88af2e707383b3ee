"""Ensembles against exact expectations of the scheme itself: recursions and sums over increments, no step error."""

import math

import numpy as np
import pytest
import torch

from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.kernels import point_step
from eigensam.sde.simulation.kernels.draws import Draws
from eigensam.sde.simulation.problems.calculus import converted
from eigensam.sde.simulation.problems.problem import SDEProblem
from eigensam.sde.simulation.scheme import SCHEMES
from eigensam.sde.simulation.simulate import Engine, simulate
from eigensam.sde.simulation.statistics.observables import Observable

from .exact_orders import grid_errors, moment_errors
from .sampling import Biased, WithoutStep
from .suite import CASES, matrix, vector
from .wrong import transposed

EAGER = Engine("eager")
BOUND = 5.0  # standard deviations: of about 150 comparisons one fails by accident with a probability of 1e-4
STEPS, PATHS = 8, 20_000
DOUBLE = torch.float64


def excess(moments, exact_mean, exact_covariance=None):
    """Standard deviations by which means, and covariances, are off the exact ones, at most; at all looks."""
    n, result = moments.count, 0.0
    known = np.sqrt(moments.variance / n) + 1e-9 * (1 + np.abs(exact_mean))
    result = float(np.max(np.abs(moments.mean - exact_mean) / known))
    if exact_covariance is not None:  # of Gaussian numbers: Var s_ij = (S_ii S_jj + S_ij^2) / (n - 1)
        diagonal = np.diagonal(exact_covariance, axis1=-2, axis2=-1)
        size = np.sqrt((diagonal[..., :, None] * diagonal[..., None, :] + exact_covariance**2) / (n - 1)) + 1e-9
        result = max(result, float(np.max(np.abs(moments.covariance - exact_covariance) / size)))
    return result


# linear equations with additive noise: mean and covariance of the scheme by their recursion

A = np.array([[-1.0, 0.5], [-0.3, -0.8]])
G = np.array([[1.0, 0.5, 0.0], [0.0, 0.3, 0.4]])
SQUARE = np.array([[1.0, 0.8], [0.0, 0.3]])
H = 0.1


def ornstein_uhlenbeck(g):
    """With a push that changes in time, and noise that grows."""

    def drift(t, x):
        return torch.from_numpy(A).to(x.dtype) @ x + torch.stack([t.sin(), t * t])

    return SDEProblem(drift, lambda t, x: torch.from_numpy(g).to(x.dtype) * (1 + t), "additive", t0=0.5)


def recursion(g, start, steps):
    """Of Euler's scheme: ``m' = m + h (A m + u)``, ``S' = M S M^T + h G G^T``."""
    mean, covariance, one = np.array(start), np.zeros((2, 2)), np.eye(2) + H * A
    means, covariances = [mean], [covariance]
    for k in range(steps):
        t = 0.5 + k * H
        mean = one @ mean + H * np.array([math.sin(t), t * t])
        covariance = one @ covariance @ one.T + H * (1 + t) ** 2 * g @ g.T
        means.append(mean)
        covariances.append(covariance)
    return np.array(means), np.array(covariances)


def moments_of(problem, start, steps=STEPS, paths=PATHS, **options):
    found = simulate(
        problem, start, dt=H, steps=steps, paths=paths, record=Record(every=1), engine=EAGER, **{"seed": 7, **options}
    )
    return found.observed().moments


@pytest.mark.parametrize("scheme", ["euler-maruyama", "milstein", "weak-euler"])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_correlated_noise_of_three_columns(scheme, dtype):
    moments = moments_of(ornstein_uhlenbeck(G), torch.tensor([1.0, 2.0], dtype=dtype), scheme=scheme)
    assert excess(moments, *recursion(G, [1.0, 2.0], STEPS)) < BOUND


def test_wrong_diffusion_is_found():
    """One that is transposed; and an entry that is 5 % too large."""
    other = SQUARE * np.array([[1, 1.05], [1, 1]])
    for wrong in (SQUARE.T, other):
        moments = moments_of(ornstein_uhlenbeck(wrong), vector(1.0, 2.0))
        assert excess(moments, *recursion(SQUARE, [1.0, 2.0], STEPS)) > BOUND
        assert excess(moments, *recursion(wrong, [1.0, 2.0], STEPS)) < BOUND


@pytest.mark.parametrize(("draws", "found"), [(Draws, False), (WithoutStep, True), (Biased, True)])
def test_wrong_numbers_are_found(monkeypatch, draws, found):
    """Brownian motion: of 2^20 paths the variance is known to 0.14 %; the last sampler's is 1 % too large."""
    monkeypatch.setattr(point_step, "Draws", draws)
    brownian = SDEProblem(lambda t, x: 0 * x, lambda t, x: torch.ones_like(x)[:, None], "additive")
    moments = moments_of(brownian, torch.zeros(1), paths=2**20)
    exact = H * np.arange(STEPS + 1)[:, None, None]
    assert (excess(moments, np.zeros((STEPS + 1, 1)), exact) > BOUND) == found


def test_every_path_may_start_elsewhere():
    """Means of two halves; and that a path begins where it was told."""
    start = torch.cat([vector(1.0, 2.0).expand(PATHS, 2), vector(-3.0, 0.5).expand(PATHS, 2)])
    found = simulate(
        ornstein_uhlenbeck(G), start, dt=H, steps=STEPS, paths=2 * PATHS, record=Record(trajectories=2), engine=EAGER
    )
    for half, first in ((found.final[:PATHS], [1.0, 2.0]), (found.final[PATHS:], [-3.0, 0.5])):
        means, covariances = recursion(G, first, STEPS)
        deviation = (half.mean(0).numpy() - means[-1]) / np.sqrt(np.diag(covariances[-1]) / PATHS)
        assert np.abs(deviation).max() < BOUND
    assert torch.equal(found.trajectories[:, 0], start[:2])
    one = simulate(ornstein_uhlenbeck(G), start[:1].expand(40, 2), dt=H, steps=STEPS, paths=40, engine=EAGER)
    same = simulate(ornstein_uhlenbeck(G), start[0], dt=H, steps=STEPS, paths=40, engine=EAGER)
    assert torch.equal(one.final, same.final)


def test_blocks_are_one_state():
    """Momentum: ``dx = m dt``, ``dm = (-x - m) dt + dW``, as blocks by name and as one vector."""
    blocks = SDEProblem(
        lambda t, s: {"x": s["m"], "m": -s["x"] - s["m"]}, lambda t, s: {"m": torch.ones_like(s["m"])[:, None]}
    )
    found = simulate(
        blocks,
        {"x": vector(1.0), "m": vector(0.0)},
        dt=H,
        steps=STEPS,
        paths=50,
        record=Record(trajectories=3, observables=(Observable(), Observable("energy", energy))),
        engine=EAGER,
    )
    flat = SDEProblem(
        lambda t, s: torch.stack([s[1], -s[0] - s[1]]), lambda t, s: torch.stack([0 * s[0], 1 + 0 * s[0]])[:, None]
    )
    same = simulate(flat, vector(1.0, 0.0), dt=H, steps=STEPS, paths=50, record=Record(trajectories=3), engine=EAGER)
    assert list(found.final) == list(found.trajectories) == ["x", "m"]
    assert torch.equal(torch.cat([found.final["x"], found.final["m"]], 1), same.final)
    assert torch.equal(torch.cat([found.trajectories["x"], found.trajectories["m"]], -1), same.trajectories)
    assert found.mean.shape == (STEPS + 1, 2)
    exact = ((same.final**2).sum(1) / 2).mean()
    assert found.observed("energy").moments.mean[-1, 0] == pytest.approx(float(exact), rel=1e-12)


def energy(states):
    return (states["x"] ** 2 + states["m"] ** 2).sum(1) / 2


def test_functions_of_batches_are_those_of_points():
    def drift(t, x):
        return -x + t * x.roll(1, -1)

    one = SDEProblem(drift, lambda t, x: torch.stack([x, x.cos()], -1))
    many = SDEProblem(drift, lambda t, x: torch.stack([x, x.cos()], -1), batched=True)
    found = [
        simulate(each, vector(1.0, -0.5), dt=H, steps=STEPS, paths=50, scheme="platen", engine=EAGER).final
        for each in (one, many)
    ]
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("diffusion", [None, lambda t, x: x.new_zeros(2, 0)])
def test_without_noise_paths_are_those_of_the_scheme(scheme, diffusion):
    """An ordinary equation: all paths are one, that of the scheme's step by hand."""
    kind = SCHEMES[scheme]
    noise = next(iter(kind.weak_order))
    problem = SDEProblem(lambda t, x: torch.stack([x[1], -x[0]]) * (1 + t), diffusion, noise, kind.calculus)
    x, none = vector(1.0, 0.5), vector()
    found = simulate(problem, x, dt=H, steps=STEPS, paths=5, scheme=scheme, engine=EAGER)
    still = SDEProblem(problem.drift, lambda t, x: x.new_zeros(2, 1))
    for k in range(STEPS):
        x = kind.step(still, torch.tensor(k * H, dtype=DOUBLE), x, H, vector(0.0), none)
    torch.testing.assert_close(found.final, x.expand(5, 2), rtol=1e-12, atol=1e-12)


# the suite


def scheme_of(case):
    return "euler-maruyama" if case.sde.calculus == "ito" else "heun"


PAIRS = [(name, scheme_of(case)) for name, case in CASES.items()]
PAIRS += [("L1", "milstein"), ("L4", "milstein"), ("L1", "weak-euler"), ("N1", "platen"), ("T2 off its line", "platen")]
PAIRS += [("N1", "splitting"), ("A2", "splitting"), ("P1", "heun"), ("L2", "platen")]


def simulated(case, scheme):
    """Means of all test functions at the end, shape ``(k,)``, and their standard deviations."""
    sde = converted(case.sde, SCHEMES[scheme].calculus)
    phi = torch.func.vmap(lambda x: torch.stack([each.phi(x) for each in case.expectations]))
    settings = {"dt": case.horizon / STEPS, "steps": STEPS, "paths": PATHS, "scheme": scheme, "seed": 11}
    record = Record(every=STEPS, observables=(Observable("phi", phi),))
    moments = simulate(sde, case.start, record=record, engine=EAGER, **settings).observed().moments
    return moments.mean[-1], np.sqrt(moments.variance[-1] / PATHS)


def exact(case, scheme):
    """Expectations after as many steps of the scheme."""
    small = case.twin or case
    errors, _ = (moment_errors if small.degree else grid_errors)(SCHEMES[scheme], small, STEPS)
    return np.array([each.value for each in small.expectations]) + errors


def off(case, scheme):
    mean, deviation = simulated(case, scheme)
    return float(np.max(np.abs(mean - exact(case, scheme)) / (deviation + 1e-12)))


@pytest.mark.parametrize(("name", "scheme"), PAIRS)
def test_the_suite(name, scheme):
    assert off(CASES[name], scheme) < BOUND


@pytest.mark.parametrize(("name", "scheme"), [("N1", "euler-maruyama"), ("T2 off its line", "platen")])
def test_a_transposed_diffusion_is_found_in_the_suite(name, scheme):
    case = CASES[name]
    mean, deviation = simulated(transposed(case), scheme)
    assert np.max(np.abs(mean - exact(case, scheme)) / deviation) > BOUND


@pytest.mark.parametrize("name", ["L1", "L4", "N1"])
def test_a_reused_counter_is_found_in_the_suite(monkeypatch, name):
    monkeypatch.setattr(point_step, "Draws", WithoutStep)
    assert off(CASES[name], "euler-maruyama") > BOUND


def test_geometric_brownian_motion():
    """Of Euler's scheme and of Milstein's by hand: factors of a step are independent."""
    r, v, x, n = 0.3, 0.4, 1.5, STEPS
    gbm = SDEProblem(lambda t, x: r * x, lambda t, x: v * x[:, None], "scalar")
    first = (1 + r * H) ** n
    second = {"euler-maruyama": v * v * H, "milstein": v * v * H + (v**4) * H * H / 2}
    for scheme, variance in second.items():
        found = moments_of(gbm, matrix((x,))[0], scheme=scheme)
        square = x * x * ((1 + r * H) ** 2 + variance) ** n
        assert abs(found.mean[-1, 0] - x * first) < BOUND * math.sqrt(found.variance[-1, 0] / PATHS)
        spread = found.variance[-1, 0] * math.sqrt((found.kurtosis[-1, 0] + 2) / PATHS)
        assert abs(found.variance[-1, 0] - (square - (x * first) ** 2)) < BOUND * spread
