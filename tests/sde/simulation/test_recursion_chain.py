"""Recursions as chains: the laws of their minibatches by counts, their steps by plain loops and exact moments."""

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from eigensam.ground.errors import InputError
from eigensam.landscapes import Quadratic, TiltedTorus
from eigensam.sde.rules.recursion import Recursion
from eigensam.sde.rules.sampling import GivenOrder, Independent, Reshuffled, SingleShuffle
from eigensam.sde.rules.schedules import Schedule
from eigensam.sde.rules.statements import parse_statements
from eigensam.sde.simulation.ensembles.looks import Record
from eigensam.sde.simulation.problems import minibatch_laws as module
from eigensam.sde.simulation.problems.recursion_chain import blocks_at, recursion_chain
from eigensam.sde.simulation.simulate import Engine, simulate

DOUBLE = torch.float64
EAGER = Engine("eager")
ETA = 0.1
HEAVY_BALL = "m = 1/2*m + g; x = x - eta*m"


def recursion(text, schedules=None, **options):
    schedules = schedules or {}
    return Recursion("r", parse_statements(text, list(schedules)), schedules=schedules, **options)


def moved(f, r, x0, steps, paths, eta=ETA, rho=0.0, **options):
    chain = recursion_chain(f, r, rho=rho, eta=eta)
    options = {"engine": EAGER, "record": Record(every=1, trajectories=paths), **options}
    return simulate(
        chain, blocks_at(r, torch.tensor(x0, dtype=DOUBLE)), dt=chain.dt, steps=steps, paths=paths, **options
    )


class Counting(Quadratic):
    """Minibatch ``m`` moves coordinate ``m`` by -1 times the learning rate: states count."""

    def contracted_gradients(self, x, terms):
        return torch.eye(self.size, dtype=x.dtype).expand(*x.shape[:-2], self.size, self.size)


def counting(m):
    return Counting(torch.zeros(m, m, m, dtype=DOUBLE), centres=torch.zeros(m, m))


def orders(r, m=3, paths=6000, steps=6):
    """Minibatches of all steps, shape ``(paths, steps)``."""
    found = moved(counting(m), r, [0.0] * m, steps, paths)
    return (found.trajectories.diff(dim=1) / -ETA).argmax(2)


def unlikely(chosen, outcomes):
    """Whether rows are not uniform among the outcomes, by a test of level 1e-6."""
    codes, counts = chosen.unique(dim=0, return_counts=True)
    if not {tuple(code) for code in codes.tolist()} <= set(outcomes):
        return True
    expected = len(chosen) / len(outcomes)
    padded = torch.cat([counts.double(), torch.zeros(len(outcomes) - len(counts), dtype=DOUBLE)])
    return float(((padded - expected) ** 2).sum() / expected) > chi2.isf(1e-6, len(outcomes) - 1)


PAIRS = [(a, b) for a in range(3) for b in range(3)]
LAWS = {
    "independent": (Independent(), [tuple(c) for c in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist()], PAIRS),
    "reshuffled": (Reshuffled(3), list(permutations(range(3))), PAIRS),
    "incomplete epochs": (Reshuffled(3, steps=2), [(*p, q) for p in permutations(range(3), 2) for q in range(3)], None),
    "single shuffle": (SingleShuffle(3), list(permutations(range(3))), list(permutations(range(3), 2))),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_first_steps_and_the_seam_of_epochs_have_the_law(law):
    sampling, first, seam = LAWS[law]
    chosen = orders(recursion("x = x - eta*g", sampling=sampling))
    assert not unlikely(chosen[:, :3], first)
    assert seam is None or not unlikely(chosen[:, 2:4], seam)
    others = {each: LAWS[each][1] for each in LAWS if set(LAWS[each][1]) != set(first)}
    assert all(unlikely(chosen[:, :3], outcomes) for outcomes in others.values())
    if law == "incomplete epochs":  # the second is of the same law
        assert not unlikely(chosen[:, 2:5], first)


def test_a_single_shuffle_repeats_its_order_and_a_new_one_does_not():
    for sampling, same in ((SingleShuffle(3), True), (Reshuffled(3), False)):
        chosen = orders(recursion("x = x - eta*g", sampling=sampling))
        assert bool((chosen[:, :3] == chosen[:, 3:]).all()) == same


def test_a_given_order_is_that_of_the_family():
    assert orders(recursion("x = x - eta*g", sampling=GivenOrder(3)), paths=2).tolist() == [[0, 1, 2, 0, 1, 2]] * 2


def test_distinct_draws_differ_and_independent_ones_need_not(monkeypatch):
    text = "x = x - eta*grad(draw='a') - 2*eta*grad(draw='b')"
    pairs = {}
    for distinct in (3, None):
        ends = moved(counting(3), recursion(text, distinct=distinct), [0.0] * 3, 1, 6000).trajectories[:, 1] / -ETA
        pairs[distinct] = torch.stack([(ends - 1).abs().argmin(1), ends.argmax(1)], 1)
        twice = ends.amax(1) > 2.5  # of one minibatch both
        pairs[distinct][twice, 0] = pairs[distinct][twice, 1]
    assert not unlikely(pairs[3], list(permutations(range(3), 2)))
    assert not unlikely(pairs[None], PAIRS)

    def biased(scores):
        return module_drawn(scores + 0.2 * torch.tensor([1.0, 0, 0], dtype=scores.dtype))

    module_drawn = module.drawn_minibatch
    monkeypatch.setattr(module, "drawn_minibatch", biased)
    assert unlikely(orders(recursion("x = x - eta*g"))[:, :3], LAWS["independent"][1])


# steps by plain loops: the same minibatches, every operation written out


def test_heavy_ball_sam_with_decay_and_schedule_as_a_plain_loop():
    """With a given order nothing is random; memory, position, radius and the time of the schedule are in it."""
    f = TiltedTorus.default(2)
    text = "m = 1/2*m + grad(rho*unit(g)) + 1/5*x; x = x - eta*s*m"
    r = recursion(text, {"s": Schedule("1/(1 + t)")}, sampling=GivenOrder(f.size))
    found = moved(f, r, [0.3, 0.8], 7, 1, rho=0.2)
    x, m = np.array([0.3, 0.8]), np.zeros(2)

    def gradient(x, k):
        return f.contracted_gradients(torch.tensor(x)[None], [(1.0, ())])[k % f.size].numpy()

    for k in range(7):
        g = gradient(x, k)
        m = m / 2 + gradient(x + 0.2 * g / np.linalg.norm(g), k) + x / 5
        x = x - ETA * m / (1 + k * 2 * ETA)  # the effective rate is twice the learning rate
        assert np.allclose(found.trajectories["x"][0, k + 1], x, rtol=1e-12)
        assert np.allclose(found.trajectories["m"][0, k + 1], m, rtol=1e-12)


def test_a_mean_over_minibatches_within_a_step():
    f = TiltedTorus.default(2)
    r = recursion("x = x - eta*g - eta*mean(g)", sampling=GivenOrder(f.size))
    found = moved(f, r, [0.3, 0.8], 2, 1)
    x = torch.tensor([[0.3, 0.8]], dtype=DOUBLE)
    for k in range(2):
        every = f.contracted_gradients(x, [(1.0, ())])
        x = x - ETA * (every[k] + every.mean(0))
    assert torch.allclose(found.trajectories[0, 2], x[0], rtol=1e-12)


def exact_moments(a, centres, beta, eta, x0, steps, law):
    """Mean and variance of ``x`` of heavy ball on ``a (x - c)^2 / 2``, by its linear recursion, at all steps."""
    one = np.array([[1 - eta * a, -eta * beta], [a, beta]])
    push = a * np.array([eta, -1.0])  # times the centre
    mean, variances, means = np.array([x0, 0.0]), [0.0], [x0]
    columns = []  # how each step's centre enters the state now
    for k in range(steps):
        mean = one @ mean + push * centres.mean()
        columns = [one @ column for column in columns] + [push]
        weights = np.array([column[0] for column in columns])
        total = (weights**2).sum()
        if law == "reshuffled":  # two steps of one epoch of M have the covariance -variance / (M - 1)
            size = len(centres)
            parts = [weights[i : i + size] for i in range(0, k + 1, size)]
            total = sum((p**2).sum() - (p.sum() ** 2 - (p**2).sum()) / (size - 1) for p in parts)
        means.append(mean[0])
        variances.append(total * centres.var())
    return np.array(means), np.array(variances)


@pytest.mark.parametrize("law", ["independent", "reshuffled"])
def test_moments_of_heavy_ball_on_a_quadratic(law):
    a, centres, paths, steps = 2.0, np.array([-1.0, 0.5, 2.0]), 20_000, 9
    f = Quadratic([[a]], centres=centres[:, None].tolist())
    r = recursion(HEAVY_BALL, sampling=Reshuffled(3) if law == "reshuffled" else Independent())
    found = moved(f, r, [1.5], steps, paths)
    x = found.trajectories["x"][..., 0].numpy()
    for each in ("independent", "reshuffled"):
        mean, variance = exact_moments(a, centres, 0.5, ETA, 1.5, steps, each)
        close = abs(x.var(0)[1:] / variance[1:] - 1).max() < 5 * (2 / paths) ** 0.5
        assert close == (each == law)  # the other law's variance is not this one's
    assert (abs(x.mean(0) - mean) <= 5 * (x.var(0) / paths) ** 0.5 + 1e-12).all()


def test_bits_do_not_depend_on_chunks_and_a_checkpoint_goes_on(tmp_path):
    f = TiltedTorus.default(2)
    r = recursion(HEAVY_BALL, sampling=SingleShuffle(f.size))
    plain = moved(f, r, [0.3, 0.8], 5, 600)
    chunked = moved(f, r, [0.3, 0.8], 5, 600, chunk=64)
    kept = Engine("eager", checkpoint=tmp_path)
    again = [moved(f, r, [0.3, 0.8], 5, 600, engine=kept) for _ in range(2)]
    for other in (chunked, *again):
        assert all(torch.equal(plain.trajectories[name], other.trajectories[name]) for name in ("x", "m"))
    assert again[1].path_steps == 0  # all of it was kept


def test_compiled_code_does_the_same():
    f = Quadratic([[2.0]], centres=[[-1.0], [1.0]])
    r = recursion("m = 1/2*m + s*g; x = x - eta*m", {"s": Schedule("exp(-t)")}, sampling=SingleShuffle(2))
    eager, compiled = (moved(f, r, [0.3], 5, 64, engine=Engine(each)) for each in ("eager", "compiled"))
    assert torch.allclose(eager.trajectories["x"], compiled.trajectories["x"], rtol=1e-12)


# refusals


def test_what_is_refused():
    f, one = TiltedTorus.default(2), torch.ones(2, dtype=DOUBLE)
    momentum = recursion(HEAVY_BALL)
    with pytest.raises(InputError, match="draws among 5 minibatches, and the landscape has 3"):
        recursion_chain(f, recursion(HEAVY_BALL, sampling=Reshuffled(5)), rho=0.0, eta=ETA)
    with pytest.raises(InputError, match="keeps x, m: start at"):
        simulate(recursion_chain(f, momentum, rho=0.0, eta=ETA), one, dt=2 * ETA, steps=1, paths=1)
    with pytest.raises(InputError, match="has no memory w; it has m"):
        blocks_at(momentum, one, {"w": one})
    with pytest.raises(InputError, match="positive learning rate"):
        recursion_chain(f, momentum, rho=0.0, eta=-1.0)
    many = recursion("x = x - eta*grad(draw='a') - eta*grad(draw='b') - eta*mean(grad(draw='a'))")
    with pytest.raises(InputError, match="10000 outcomes"):
        recursion_chain(counting(100), many, rho=0.0, eta=ETA)
    with pytest.raises(InputError, match="takes the time"):
        simulate(recursion_chain(f, momentum, rho=0.0, eta=ETA), blocks_at(momentum, one), dt=ETA, steps=1, paths=1)
