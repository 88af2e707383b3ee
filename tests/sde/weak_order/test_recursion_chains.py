"""Truths: all sequences of minibatches as loops, Kronecker exponentials, scipy's integrator, correctors by hand."""

import io
import itertools
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from eigensam.ground import InputError
from eigensam.landscapes import NetworkLandscape, Quadratic, TiltedTorus
from eigensam.sde import verify_moments
from eigensam.sde.rules.sampling import Epochs, GivenOrder, Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule, cosine
from eigensam.sde.simulation.problems.coefficients import coefficients
from eigensam.sde.weak_order.moment_flow import MomentFlow, TimedMatrix
from eigensam.sde.weak_order.needed_terms import needed_terms
from eigensam.sde.weak_order.plans import MomentsPlan
from eigensam.sde.weak_order.printing import print_weak_order
from eigensam.sde.weak_order.recursion_maps import RecursionMaps
from eigensam.sde.weak_order.recursion_moments import RecursionMoments, recursion_etas

from .recursion_cases import HEAVY_BALL, NESTEROV, SGD, USAM_BALL, derived, pulling, random_quadratic

F64 = torch.float64
BALL = "m = 1/2*m + s*grad(rho*g) + 1/10*x; x = x - eta*m"
HALF_BALL = "m = 1/2*m + g; x = x - eta*m"
GROWING = {"s": Schedule("1 + t*t")}


def by_hand(f, sequence, eta, rho, step_time):
    """``BALL``, one sequence of minibatches, in numpy."""
    a, centres = f.hessian.expand(f.size, f.dim, f.dim).numpy(), f.centres.numpy()
    x, m, states = np.ones(f.dim), np.zeros(f.dim), []
    for k, i in enumerate(sequence):
        gradient = a[i] @ (x - centres[i])
        at = a[i] @ (x + rho * gradient - centres[i])
        m = m / 2 + (1 + (k * step_time) ** 2) * at + x / 10
        x = x - eta * m
        states.append(np.concatenate([x, m, [1.0]]))
    return np.stack(states)


def sequences(law, steps):
    """All of them, equally likely."""
    match law:
        case None:
            return list(itertools.product(range(3), repeat=steps))
        case Reshuffled(_, size) | Reshuffled(size):
            one = list(itertools.permutations(range(3), size or 3))
        case SingleShuffle():
            return [order * (steps // 3) for order in itertools.permutations(range(3))]
        case GivenOrder():
            return [(0, 1, 2) * (steps // 3)]
        case Epochs():
            one = [order for epoch in law.epochs for order in itertools.permutations(epoch)]
    return [tuple(itertools.chain(*each)) for each in itertools.product(one, repeat=steps // len(one[0]))]


@pytest.mark.parametrize(
    "law",
    [None, Reshuffled(3), Reshuffled(3, steps=2), SingleShuffle(3), GivenOrder(3), Epochs(((0, 1), (1, 2), (2, 0)))],
    ids=str,
)
def test_chains_against_all_sequences(law):
    """Six steps, from memory 0, with a schedule; at each step."""
    f, eps = random_quadratic(2), 1 / 6
    order = 1 if isinstance(law, GivenOrder) else 2  # with a schedule a given order has none of order 2
    sde = derived(BALL, order, schedules=GROWING, **({} if law is None else {"sampling": law}))
    moments = RecursionMoments(sde, f, None, 1.0, 1.0, inside=True)
    eta = eps / float(sde.rate)
    paths = np.stack([by_hand(f, each, eta, 0.3, eps) for each in sequences(law, 6)])
    truth = np.einsum("pki,pkj->kij", paths, paths) / len(paths)
    found = torch.cat([z for _, z in moments._walked(moments.maps(eps, 0.3), moments._z)])
    np.testing.assert_allclose(found.numpy(), truth, rtol=1e-12, atol=1e-12)
    kept = [0, 1, 4]  # the position and 1
    compared = moments.chain(eps, 0.3, 1).numpy()
    np.testing.assert_allclose(compared, truth[-len(compared) :][:, kept][:, :, kept], rtol=1e-12)


def test_labelled_draws_against_all_pairs():
    """Nesterov-like: ascent and descent by different minibatches, distinct or not."""
    f, eta = random_quadratic(2), 0.25
    a, centres = f.hessian.numpy(), f.centres.numpy()
    for distinct, pairs in ((None, itertools.product(range(3), repeat=2)), (3, itertools.permutations(range(3), 2))):
        sde = derived("x = x - eta*grad(rho*grad(draw='a'), draw='b')", 1, distinct=distinct)
        ends = []
        for i, j in pairs:
            ascent = np.ones(2) + 0.3 * a[i] @ (np.ones(2) - centres[i])
            ends.append(np.ones(2) - eta * a[j] @ (ascent - centres[j]))
        found = RecursionMoments(sde, f, None, eta, 1.0).chain(eta, 0.3, 1)[0]
        np.testing.assert_allclose(found[:2, 2], np.mean(ends, 0), rtol=1e-12)
        np.testing.assert_allclose(found[:2, :2], np.mean([np.outer(x, x) for x in ends], 0), rtol=1e-12)


def test_flow_against_a_kronecker_exponential():
    """And the flow at any time is the same polynomial's value."""
    f, eps, rho = random_quadratic(2), 1 / 8, 0.3
    sde = derived(USAM_BALL)
    maps = RecursionMaps(sde, f, rho, eps, 1.5, None)
    drift, columns = maps.flow(sde)
    z = torch.ones(3, 3, dtype=F64)
    found = MomentFlow(drift, columns, eps, z, 1.5).at([0.4, 1.5])
    g, n, one = drift.first[0].numpy(), columns.first.numpy(), np.eye(3)
    operator = np.kron(g, one) + np.kron(one, g) + eps * np.mean([np.kron(each, each) for each in n], axis=0)
    for t, each in zip((0.4, 1.5), found, strict=True):
        np.testing.assert_allclose(each.numpy().ravel(), expm(t * operator) @ np.ones(9), rtol=1e-12)
    point = torch.tensor([0.3, -0.7], dtype=F64)
    direct = coefficients(f, sde, point, rho).drift(eps)
    np.testing.assert_allclose(g[:2, :2] @ point.numpy() + g[:2, 2], direct, rtol=1e-12)


def test_flow_in_time_against_scipy():
    f, eps, rho = random_quadratic(2), 1 / 8, 0.3
    sde = derived(BALL, schedules=GROWING)
    drift, columns = RecursionMaps(sde, f, rho, eps, 1.5, None).flow(sde)
    found = MomentFlow(drift, columns, eps, torch.ones(3, 3, dtype=F64), 1.5).at([0.7, 1.5])

    def moved(t, flat):
        z, g, n = flat.reshape(3, 3), drift.at([t])[0, 0].numpy(), columns.at([t])[0].numpy()
        return (g @ z + z @ g.T + eps * np.mean(n @ z @ n.transpose(0, 2, 1), axis=0)).ravel()

    truth = solve_ivp(moved, (0, 1.5), np.ones(9), "DOP853", [0.7, 1.5], rtol=1e-13, atol=1e-13).y.T
    np.testing.assert_allclose(found.reshape(2, 9), truth, rtol=1e-10)


def test_matrices_in_time():
    """Interpolated where that is exact; else computed at each time."""
    smooth = TimedMatrix(lambda t: torch.tensor([math.exp(t), math.cos(3 * t)], dtype=F64), 2.0, constant=False)
    rough = TimedMatrix(lambda t: torch.tensor([math.cos(900 * t)], dtype=F64), 2.0, constant=False)
    times = [0.0, 0.37, 1.999, 2.0]
    for found, truth in ((smooth, lambda t: [math.exp(t), math.cos(3 * t)]), (rough, lambda t: [math.cos(900 * t)])):
        np.testing.assert_allclose(found.at(times), [truth(t) for t in times], rtol=1e-12, atol=1e-12)
    fast = TimedMatrix(lambda t: torch.tensor([[[-1e5, 0], [0, 0]]], dtype=F64), 2.0, constant=True)
    with pytest.raises(InputError, match="change too fast, to be integrated up to T = 2"):
        MomentFlow(fast, fast, 0.1, torch.ones(2, 2, dtype=F64), 2.0)


@pytest.mark.parametrize(("text", "share"), [(HEAVY_BALL, 0.9), (NESTEROV, 0.81)])
def test_shifted_starts_by_hand(text, share):
    """``X_0 = x_0 + share eps (h/(1 - beta) - m_0)``, ``h = -E g``, for ``m+ = beta m + g`` (theory, section 8)."""
    f, eps = pulling(), 1 / 64
    maps = RecursionMaps(derived(text), f, 0.1, eps, 1.0, None)
    x, m = np.array([0.4, -1.0]), np.array([2.0, 3.0])
    gradient = np.mean(f.hessian.numpy() @ (x - f.centres.numpy())[..., None], axis=0)[:, 0]
    found = maps.slow(2.0).first @ torch.from_numpy(np.concatenate([x, m, [1.0]]))
    np.testing.assert_allclose(found[:2], x - share * eps * (m - gradient / 0.1), rtol=1e-12)
    rested = maps.rested(torch.from_numpy(np.concatenate([x, m, [1.0]])))
    np.testing.assert_allclose(rested[2:4], gradient / 0.1, rtol=1e-12)
    assert maps.forgetting == pytest.approx(0.9)
    np.testing.assert_allclose((maps.slow(2.0).first @ rested)[:2], x, rtol=1e-12)


def test_corrector_against_linear_algebra():
    """``chi = D (1 - A)^{-1} (q - q_mean(x))``, ``D`` and ``A`` differences of the step's mean; with powers of rho."""
    f, rho = random_quadratic(2), 1e-4
    sde = derived("m = 9/10*m + 1/10*g; x = x - eta*grad(rho*m)", beta="2/3")
    maps = RecursionMaps(sde, f, rho, 1e-6, 1.0, None)
    mean, still = maps.steps.first.mean(0).numpy(), maps.still.numpy()
    solved = np.linalg.solve((np.eye(2) - still[2:4, 2:4]).T, ((mean - still)[:2, 2:4]).T).T
    np.testing.assert_allclose((maps.slow(2.0).first[:2, 2:4]).numpy(), solved, rtol=1e-4, atol=1e-16)


def test_initial_layer():
    """Over all steps ``x`` has order 1, and the slow variable 2; so has ``x`` after the layer, or without one."""
    result = verify_moments(derived(HEAVY_BALL), pulling(), etas=[2.0**-9, 2.0**-11, 2.0**-13])
    assert result.verdict == "pass", result.reason
    found = json.loads(json.dumps(result.to_dict()))["initial_layer"]
    last = {name: slopes[-1] for name, slopes in found["slopes"].items()}
    assert last["position"] == pytest.approx(1, abs=0.05)
    for name in ("slow_variable", "after_layer", "from_mean"):
        assert last[name] == pytest.approx(2, abs=0.1)
    assert found["steps"][-1] == math.ceil(2 * 13 * math.log(2) / -math.log(0.9))


def test_initial_layer_is_printed():
    """Also where no step size is so small that memory of the start is forgotten."""
    for text, etas, words in (
        (HALF_BALL, [2.0**-7, 2.0**-9], r"and x itself 1\.\d\d: 1\.9\d after the 18 steps of the initial layer"),
        (HEAVY_BALL, [2.0**-5, 2.0**-6], r"unknown after the 79 steps"),
    ):
        console = Console(file=io.StringIO(), width=400)
        print_weak_order(console, verify_moments(derived(text), pulling(), etas=etas), "ball", "1")
        assert re.search(words, console.file.getvalue()), console.file.getvalue()


@pytest.mark.parametrize(
    ("settings", "inside", "slope"),
    [
        ({"sampling": Reshuffled(4)}, False, 2),
        ({"sampling": GivenOrder(4)}, False, 2),
        ({"sampling": GivenOrder(4)}, True, 1),
        ({"schedules": {"s": cosine(2)}, "sampling": Reshuffled(4)}, False, 2),
    ],
    ids=["reshuffled", "given order", "inside", "scheduled"],
)
def test_verdicts(settings, inside, slope):
    """Every needed term is seen: what epochs, orders and schedules add is one of its own."""
    text = "m = 1/2*m + s*g; x = x - eta*m" if "schedules" in settings else HALF_BALL
    sde, etas = derived(text, **settings), [2.0**-7, 2.0**-9, 2.0**-11]
    result = verify_moments(sde, pulling(), etas=etas, plan=MomentsPlan(inside=inside))
    assert result.verdict == "pass", result.reason
    assert result.expected == slope
    expected = {"drift"} if inside else {"drift", "correction"}
    if not inside:
        ordered = isinstance(settings["sampling"], GivenOrder)
        expected |= {"order of the minibatches" if ordered else "epochs", *(["schedules"] * ("schedules" in settings))}
    assert {each["part"] for each in result.details["visible"]} == expected


def test_needed_terms_are_the_whole_correction():
    """The parts that are changed by themselves are changed by a tenth of ``b_1`` together."""
    sde = derived(BALL, schedules={"s": cosine(2)}, sampling=Reshuffled(4))
    terms = [term for term in needed_terms(sde, 2.0) if term.part in ("correction", "schedules", "epochs")]
    assert len(terms) == 3
    changes = [term.changed.correction[0] - sde.correction[0] for term in terms]
    assert changes[0] + changes[1] + changes[2] == sde.correction[0] * (terms[0].changed.rho_exponent / 10)
    assert all(term.alone.correction[0] == change for term, change in zip(terms, changes, strict=True))


def test_wrong_verdicts():
    """A given order without its bracket, and momentum at the rate of SGD's second-order SDE."""
    etas = [2.0**-7, 2.0**-9, 2.0**-11]
    sde = derived(SGD, sampling=GivenOrder(4))
    plan = MomentsPlan(expected=2)
    assert verify_moments(replace(sde, ordered={}), pulling(), etas=etas, plan=plan).verdict == "fail"
    ball = replace(derived(HEAVY_BALL), correction=derived(SGD).correction)
    assert verify_moments(ball, pulling(), etas=[each / 4 for each in etas], plan=plan).verdict == "fail"


def test_default_rates_are_whole_epochs():
    for settings in ({"sampling": Reshuffled(6)}, {"sampling": Reshuffled(4, steps=3)}, {"sampling": GivenOrder(16)}):
        sde = derived(SGD, 1, **settings)
        for eta in recursion_etas(sde, 1.0):
            assert round(1 / eta) % sde.rule.sampling.epoch == 0


def test_start_of_all_blocks():
    f, sde = random_quadratic(2), derived(HEAVY_BALL)
    zero, given = (RecursionMoments(sde, f, start, 0.25, 2.0) for start in ([1.0, 2], [1.0, 2, 3, 4]))
    moved = (given.solution(sde, 0.125, 0.1, 1) - zero.solution(sde, 0.125, 0.1, 1)).abs().max()
    assert moved > 0.1  # wrong on purpose: a start whose memory is not seen


@pytest.mark.parametrize(
    ("sde", "settings", "message"),
    [
        ("m = 9/10*m + grad(rho*unit(g)); x = x - eta*m", {}, "rule 'r' is not affine: it contains 1/norm(g)"),
        (SGD, {"landscape": TiltedTorus.default(2)}, "rule 'r' is not affine on this landscape"),
        (HEAVY_BALL, {"start": torch.ones(3)}, "expected (2,) finite numbers, or (4,) for the blocks x, m"),
        (SGD, {"sampling": Reshuffled(5)}, "draws from 5 minibatches, and the landscape has 3; give a landscape of 5"),
        (SGD, {"sampling": Reshuffled(3)}, "T/eta = 8 steps are no whole number of epochs of 3 steps"),
        ("y = x; x = x - eta*g; x = y + (x - y)/2", {"inner_steps": 3}, "no whole number of cycles of 3 inner steps"),
        (SGD, {"landscape": Quadratic(1e30 * np.eye(2), centres=[[0, 0]] * 3)}, "moments overflow at eta = 0.125"),
        (SGD, {"landscape": random_quadratic(1001)}, "moments of 1001 coordinates, those of 1 blocks"),
        (
            "; ".join(f"x = x - eta*grad(draw='{k}')" for k in range(8)),
            {"inner_steps": 8},
            "a step of recursion 'r' has 6561 outcomes, at most 4096",
        ),
        (
            SGD,
            {"sampling": SingleShuffle(8), "landscape": random_quadratic(2, 8)},
            "40320 orders of 8 minibatches are too many to list, at most 5040",
        ),
        (
            SGD,
            {"sampling": Reshuffled(16, steps=8), "landscape": random_quadratic(2, 16)},
            "sets of minibatches in an epoch of 8 steps are too many to list",
        ),
    ],
)
def test_refusals(sde, settings, message):
    f = settings.pop("landscape", random_quadratic(2))
    start = settings.pop("start", None)
    with pytest.raises(InputError, match=re.escape(message)):
        verify_moments(derived(sde, 1, "1/2", **settings), f, start, etas=[1 / 8, 1 / 16])


def test_single_precision_is_refused():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randn(12, k, generator=generator) for k in (2, 1))
    model = torch.nn.Linear(2, 1)
    f = NetworkLandscape.from_tensors(model, torch.nn.functional.mse_loss, inputs, targets, batch_size=4)
    with pytest.raises(InputError, match=r"the landscape is in torch.float32; moments need torch.float64"):
        verify_moments(derived(HEAVY_BALL, 1), f, etas=[1 / 8, 1 / 16])
