"""Recursions beside their SDEs: slopes where nothing is random, exact moments, and controls that must be farther."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from eigensam.ground.errors import InputError
from eigensam.landscapes import Quadratic
from eigensam.sde import derive, find_rule
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import GivenOrder, Independent, Reshuffled
from eigensam.sde.rules.schedules import cosine
from eigensam.sde.rules.statements import parse_statements
from eigensam.sde.simulation.comparison import ensemble_processes
from eigensam.sde.simulation.comparison.compare import compare
from eigensam.sde.simulation.comparison.compare_settings import CompareSettings
from eigensam.sde.simulation.comparison.given_sdes import Control
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.problems.derived_problem import derived_problem
from eigensam.sde.simulation.problems.shifted_start import sde_start, shifted_start
from eigensam.sde.simulation.simulate import Engine, simulate

DOUBLE = torch.float64
ENGINE = Engine("eager", progress=False)
F = Quadratic([[[1.0]], [[3.0]]], centres=[[-1.0], [2.0]])
START = torch.tensor([-2.0], dtype=DOUBLE)
HEAVY_BALL = "m = 1/2*m + g; x = x - eta*m"


def recursion(text, schedules=None, **options):
    schedules = schedules or {}
    return Recursion("r", parse_statements(text, list(schedules)), schedules=schedules, **options)


def slopes(r, *sdes, eta=0.02, horizon=1.2, scale=0.0, observed="slow"):
    """Of the errors of the ends of one path, where nothing is random; ``rho = scale * eta``."""
    errors = []
    for each in (eta, eta / 2):
        steps = round(horizon / float(sdes[0].rate) / each)
        settings = CompareSettings(eta=each, rho=scale * each, steps=steps, paths=1, every=steps, observed=observed)
        names = {str(i): sde for i, sde in enumerate(sdes)}
        found = compare(r, names, F, START, settings, observables={"x": lambda x: x[:, 0]}, engine=ENGINE)
        errors.append([abs(found.differences(name, "x")[0, -1]) for name in names])
    return np.log2(errors[0]) - np.log2(errors[1])


MEAN = "m = 1/2*m + mean(g); x = x - eta*m"
DETERMINISTIC = {
    "a schedule in the buffer": (MEAN.replace("mean", "s*mean"), {"s": cosine(4)}, Independent()),
    "a schedule outside": (MEAN.replace("eta", "eta*s"), {"s": cosine(4)}, Independent()),
    "SAM in a given order": ("m = 1/2*m + grad(rho*g); x = x - eta*m", {}, GivenOrder(F.size)),
}


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_weak_order_2_of_what_has_a_given_order(name):
    """Of the mean gradient, or of minibatches in their order at the ends of epochs: without any sampling."""
    text, schedules, sampling = DETERMINISTIC[name]
    r = recursion(text, schedules, sampling=sampling)
    second, first = slopes(r, derive(r, 2, 1), derive(r, 1, 1), scale=0.5)
    assert second > 1.85
    assert 0.8 < first < 1.3


def test_without_the_shifted_start_it_is_order_1(monkeypatch):
    """Of the position itself, after the initial layer."""
    r = recursion(MEAN)
    sde = derive(r, 2, 1)
    assert slopes(r, sde, eta=0.005, observed="x") > 1.85
    monkeypatch.setattr(ensemble_processes, "sde_start", lambda sde, f, x0, *_, **__: x0)
    assert slopes(r, sde, eta=0.005, observed="x") < 1.2


def test_a_reshuffled_training_has_no_noise_at_order_eta_and_its_sde_none_at_all():
    """Beside an ODE, whose one path stands for all; with the noise of independent draws the variance is far off."""
    r, steps, paths = recursion(HEAVY_BALL, sampling=Reshuffled(F.size)), 60, 2000
    independent = recursion(HEAVY_BALL)
    settings = CompareSettings(eta=0.01, rho=0.0, steps=steps, paths=paths, every=steps)
    sdes = {"order 2": derive(r, 2, 1), "noise kept": Control(derive(independent, 2, 1))}
    found = compare(r, sdes, F, START, settings, engine=ENGINE)
    spreads = {each.name: each.values["x[0]"][:, -1].std() for each in (found.rule, *found.others)}
    assert found.others[0].paths == 1
    assert spreads["r"] < 0.15 * spreads["noise kept"]
    settings = CompareSettings(eta=0.005, rho=0.0, steps=2 * steps, paths=paths, every=2 * steps)
    half = compare(r, {"order 2": sdes["order 2"]}, F, START, settings, engine=ENGINE)
    ratio = spreads["r"] / half.rule.values["x[0]"][:, -1].std()
    assert 2**1.3 < ratio < 2**1.7  # its variance is of order eta^3


A, CENTRES = 2.0, np.array([-1.0, 2.0])
LINE = Quadratic([[A]], centres=CENTRES[:, None].tolist())


def linear_moments(b, constant, noise, z0, t):
    """Mean and covariance of ``dZ = (b Z + c) dt + g dW``."""
    d = len(z0)
    one = expm(np.block([[b, constant[:, None]], [np.zeros((1, d + 1))]]) * t)
    mean = one[:d, :d] @ z0 + one[:d, d]
    block = expm(np.block([[-b, noise], [np.zeros((d, d)), b.T]]) * t)
    return mean, block[d:, d:].T @ block[:d, d:]


def ends(sde, eta, horizon, paths=20_000, parts=1):
    one = torch.ones(1, dtype=DOUBLE)
    problem, start = derived_problem(LINE, sde, rho=0.0, eta=eta), sde_start(sde, LINE, one, eta, 0.0)
    steps = round(horizon / (float(sde.rate) * eta)) * parts
    options = {"scheme": "splitting", "record": Record(every=steps), "engine": ENGINE}
    found = simulate(problem, start, dt=horizon / steps, steps=steps, paths=paths, **options)
    final = found.final if not isinstance(found.final, dict) else torch.cat([*found.final.values()], -1)
    return start, final.numpy()


def is_off(x, mean, covariance):
    """Standard deviations by which a mean, and variances relative to theirs, are off."""
    n, variance = len(x), np.diag(covariance)
    means = abs(x.mean(0) - mean) / (variance / n) ** 0.5
    return max(means.max(), abs(x.var(0) / variance - 1).max() / (2 / n) ** 0.5)


def test_moments_of_heavy_ball_s_sde_on_a_quadratic():
    """``b_0 = -a (x - c)``, ``b_1 = -(1/2 + tau) a^2 (x - c)`` with ``tau = 1``, ``Sigma = a^2 Var c``."""
    eta, horizon, c = 0.02, 1.0, CENTRES.mean()
    eps = 2 * eta
    start, x = ends(derive(recursion(HEAVY_BALL), 2, 1), eta, horizon)
    assert abs(float(start) - (1 + eps * A * (1 - c))) < 1e-12  # the way of tau steps back
    for tau, right in ((1, True), (0, False)):
        slope = -A - eps * (0.5 + tau) * A**2
        mean, covariance = linear_moments(
            np.array([[slope]]),
            np.array([-slope * c]),
            np.array([[eps * A**2 * CENTRES.var()]]),
            start.numpy(),
            horizon,
        )
        assert (is_off(x, mean, covariance) < 5) == right


def test_moments_of_friction_s_sde_of_position_and_momentum():
    """``B_0 = (m, k(h - m))``, ``B_1 = (k(h - m)/2, k a m/2 + k^2 (h - m)/2)``, noise in ``m`` alone."""
    eta, horizon, k, c = 0.05, 1.0, 2.0, CENTRES.mean()
    sde = derive(recursion("m = m + 2*eta*(-1*g - m); x = x + eta*m"), 2, 1)
    start, z = ends(sde, eta, horizon, parts=4)
    assert {name: part.tolist() for name, part in start.items()} == {"x": [1.0], "m": [0.0]}
    noise = np.diag([0.0, eta * k**2 * A**2 * CENTRES.var()])
    pull = np.array([-A, -1.0])  # of (x, m) in h - m, besides A c
    for corrected in (True, False):
        share = eta / 2 if corrected else 0.0
        b = np.array([share * k * pull + [0, 1], k * pull + share * (k**2 * pull + [0, k * A])])
        constant = np.array([share * k, k + share * k**2]) * A * c
        mean, covariance = linear_moments(b, constant, noise, np.array([1.0, 0.0]), horizon)
        assert (is_off(z, mean, covariance) < 5) == corrected


def test_a_control_has_the_same_effective_rate_and_starts_where_the_training_does():
    r = recursion(HEAVY_BALL)
    settings = CompareSettings(eta=0.02, rho=0.0, steps=20, paths=500, observed="x")
    sdes = {"order 2": derive(r, 2, 1), "sgd": Control(derive(find_rule("sgd"), 2, 1))}
    found = compare(r, sdes, F, START, settings, engine=ENGINE)
    assert found.rule.times[-1] == pytest.approx(20 * 0.04)
    assert found.others[1].values["x[0]"][0, 0] == found.rule.values["x[0]"][0, 0] == -2.0
    assert found.contrast("order 2", "sgd", "x[0]", factor=4.0).sign == -1
    assert found.to_dict()["about"]["step_time"] == pytest.approx(0.04)


def test_memory_that_is_full_needs_no_shift():
    r = recursion(HEAVY_BALL)
    sde, full = derive(r, 2, 1), {"m": 2 * F.gradient(START)}
    assert torch.allclose(shifted_start(sde, F, START, 0.1, 0.0, memory=full), START, atol=1e-14)
    settings = CompareSettings(eta=0.02, rho=0.0, steps=20, paths=50, observed="x")
    found = compare(r, {"order 2": sde}, F, {"x": START, **full}, settings, engine=ENGINE)
    assert found.differences("order 2", "x[0]")[0, 0] == pytest.approx(0.0, abs=1e-14)


def test_what_is_refused():
    r, sde = recursion(HEAVY_BALL), derive(recursion(HEAVY_BALL), 1, 1)
    settings = CompareSettings(eta=0.02, rho=0.0, steps=2, paths=2)
    with pytest.raises(InputError, match="give it as Control"):
        compare(recursion(HEAVY_BALL, sampling=Reshuffled(2)), {"a": sde}, F, START, settings)
    with pytest.raises(InputError, match="a recursion has its own"):
        compare(r, {"a": sde}, F, START, CompareSettings(eta=0.02, rho=0, steps=2, sampling="reshuffled"))
    with pytest.raises(InputError, match="a control is of type str"):
        Control("sgd")
    with pytest.raises(InputError, match="does not average over w; its fast blocks are m"):
        shifted_start(sde, F, START, 0.1, 0.0, memory={"w": START})
    with pytest.raises(InputError, match="has no memory; leave m out"):
        shifted_start(derive(find_rule("sgd"), 1, 1), F, START, 0.1, 0.0, memory={"m": START})
    with pytest.raises(InputError, match=r"a block of memory has shape \(3,\)"):
        shifted_start(sde, F, START, 0.1, 0.0, memory={"m": torch.ones(3)})
    friction = derive(recursion("m = m + 2*eta*(-1*g - m); x = x + eta*m"), 1, 1)
    problem = derived_problem(F, friction, rho=0.0, eta=0.1)
    for start, words in ((START, "SDE of x, m; start at"), ({"x": START, "w": START}, "the start has the blocks x, w")):
        with pytest.raises(InputError, match=words):
            simulate(problem, start, dt=0.1, steps=1, paths=1)
    with pytest.raises(InputError, match="step_time = -1"):
        CompareSettings(eta=0.1, rho=0, steps=1, step_time=-1.0)
